// vexord: the server. Reads the configuration, opens the store, runs the frontends.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/version.h"
#include "daemon/server.h"

using namespace vexor;
using namespace vexor::frontend;

int main(int argc, char** argv) {
  CLI::App app{"vexord: a Git server on the vexorstore engine"};
  std::string config_file;
  std::string data, https, ssh, monitor;
  int drain_seconds = -1;
  bool check = false;
  bool print = false;
  app.add_option("--config", config_file, "TOML configuration; the options below go before what it says");
  app.add_flag("--check-config", check, "read the configuration, say what is wrong with it, and stop");
  app.add_flag("--print-config", print, "print every key with its meaning and default, and stop");
  app.add_option("--data", data, "directory of the store, its certificate and its keys");
  CLI::Option* https_option = app.add_option("--https", https, "ADDRESS:PORT to serve HTTPS on; port 0 is any free one");
  CLI::Option* ssh_option = app.add_option("--ssh", ssh, "ADDRESS:PORT to serve SSH on; without it there is no SSH");
  CLI::Option* monitor_option = app.add_option("--monitor", monitor, "ADDRESS:PORT for plain-HTTP /healthz and /metrics");
  app.add_option("--drain-seconds", drain_seconds, "how long SIGTERM waits for open requests")->check(CLI::Range(0, 3600));
  app.set_version_flag("--version", std::string("vexord ") + version());
  CLI11_PARSE(app, argc, argv);
  if (print) {
    std::printf("%s", documented_config().c_str());
    return 0;
  }
  ServerConfig config;
  if (!config_file.empty()) {
    if (auto read = read_config(config_file, config); read.has_error()) return fail("vexord", read.error());
  }
  if (!data.empty()) config.data = data;
  if (*https_option) config.https_listen = https;
  if (*ssh_option) config.ssh_listen = ssh;
  if (*monitor_option) config.monitor_listen = monitor;
  if (drain_seconds >= 0) config.drain_seconds = drain_seconds;
  if (auto done = complete_config(config); done.has_error()) return fail("vexord", done.error());
  if (check) {
    std::printf("the configuration is good\n");
    return 0;
  }
  return run_server(config, "vexord");
}
