// vexor-replicad: a member of a replica set without frontends: a standby, or the off-site server.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/version.h"
#include "daemon/server.h"

using namespace vexor;
using namespace vexor::frontend;

int main(int argc, char** argv) {
  CLI::App app{"vexor-replicad: keeps a copy of the store of a replica set"};
  std::string config_file;
  bool check = false;
  app.add_option("--config", config_file, "TOML configuration, as of vexord; its https and ssh sections are not used")->required();
  app.add_flag("--check-config", check, "read the configuration, say what is wrong with it, and stop");
  app.set_version_flag("--version", std::string("vexor-replicad ") + version());
  CLI11_PARSE(app, argc, argv);
  ServerConfig config;
  if (auto read = read_config(config_file, config); read.has_error()) return fail("vexor-replicad", read.error());
  config.https_listen.clear();
  config.ssh_listen.clear();
  if (auto done = complete_config(config); done.has_error()) return fail("vexor-replicad", done.error());
  if (config.replication.node == 0) return fail("vexor-replicad", Error(Errc::kInvalidArgument, "replication.node is missing"));
  if (check) {
    std::printf("the configuration is good\n");
    return 0;
  }
  return run_server(config, "vexor-replicad");
}
