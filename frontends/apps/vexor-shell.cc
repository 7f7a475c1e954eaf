// vexor-shell: lets an OpenSSH server authenticate users of a vexord on the same machine.
//
//   vexor-shell --socket PATH keys TYPE BASE64     AuthorizedKeysCommand: the line for one key
//   vexor-shell --socket PATH serve USER           the forced command of that line
//
// It passes its descriptors to the daemon and waits. Setup: docs/operations/openssh.md.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "admin/frame.h"
#include "common/version.h"

namespace {

using namespace vexor;
using namespace vexor::frontend;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

Result<int> ask(const std::string& socket_path, const boost::json::object& message, const std::array<int, 3>* descriptors, boost::json::object& result) {
  VEXOR_TRY(const UniqueFd socket, connect_unix(socket_path));
  VEXOR_TRY(send_frame(socket.get(), message, descriptors));
  VEXOR_TRY(auto answer, receive_frame(socket.get()));
  if (!answer) return Error(Errc::kUnavailable, "the server went away");
  if (const auto* error = answer->message.if_contains("error")) {
    return Error(Errc::kRefused, std::string(error->as_object().at("message").as_string()));
  }
  if (const auto* status = answer->message.if_contains("exit")) return static_cast<int>(status->as_int64());
  result = answer->message.at("result").as_object();
  return 0;
}

// A user name goes into the line between quotes: the store allows no character that ends them.
Result<int> keys(const std::string& program, const std::string& socket_path, const std::string& type, const std::string& blob) {
  boost::json::object result;
  auto asked = ask(socket_path, {{"op", "ssh.find_key"}, {"blob", blob}}, nullptr, result);
  if (asked.has_error() && asked.error().code() == Errc::kRefused) return 0;  // unknown key: no line
  VEXOR_TRY(std::move(asked));
  const std::string user(result.at("user").as_string());
  if (user.find_first_of("\"\\'$` \n") != std::string::npos) return Error(Errc::kRefused, "unusable user name");
  std::printf("restrict,command=\"%s --socket %s serve %s\" %s %s\n", program.c_str(), socket_path.c_str(), user.c_str(), type.c_str(), blob.c_str());
  return 0;
}

Result<int> serve(const std::string& socket_path, const std::string& user) {
  const std::string connection = environment("SSH_CONNECTION");
  const boost::json::object message{{"op", "ssh.serve"}, {"user", user}, {"command", environment("SSH_ORIGINAL_COMMAND")},
                                    {"git_protocol", environment("GIT_PROTOCOL")}, {"peer", connection.substr(0, connection.find(' '))}};
  const std::array<int, 3> descriptors{0, 1, 2};
  boost::json::object ignored;
  return ask(socket_path, message, &descriptors, ignored);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"vexor-shell: users of an OpenSSH server become users of vexord"};
  std::string socket_path, type, blob, user;
  app.add_option("--socket", socket_path, "the admin socket of vexord")->required();
  app.require_subcommand(1);
  CLI::App* keys_command = app.add_subcommand("keys", "the authorized_keys line of a key");
  keys_command->add_option("TYPE", type)->required();
  keys_command->add_option("BASE64", blob)->required();
  CLI::App* serve_command = app.add_subcommand("serve", "serve a user that sshd has authenticated");
  serve_command->add_option("USER", user)->required();
  app.set_version_flag("--version", std::string("vexor-shell ") + version());
  CLI11_PARSE(app, argc, argv);
  std::error_code ignored;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", ignored).string();
  const auto done = keys_command->parsed() ? keys(program, socket_path, type, blob) : serve(socket_path, user);
  if (done.has_error()) {
    std::fprintf(stderr, "%s\n", done.error().message().c_str());
    return 1;
  }
  return done.value();
}
