#include "daemon/config.h"

#include <algorithm>
#include <pwd.h>
#include <toml++/toml.h>
#include <variant>

namespace vexor::frontend {

namespace {

using Target = std::variant<std::string*, int*, std::uint32_t*, std::uint64_t*>;

struct Key {
  const char* section;
  const char* name;
  const char* meaning;  // with the unit
  Target target;
  std::int64_t least = 1;
};

static_assert(std::is_same_v<std::uint64_t, std::size_t>, "sizes are configured as 64-bit numbers");

std::vector<Key> keys_of(ServerConfig& c) {
  Limits& l = c.limits;
  return {
      {"server", "data", "directory of the store, the certificate, host keys and the admin socket; required", &c.data},
      {"server", "drain_seconds", "seconds that SIGTERM waits for open requests", &c.drain_seconds, 0},
      {"server", "keep_alive_ms", "milliseconds of work without a byte to the client before a keep-alive goes out", &c.keep_alive_ms},
      {"https", "listen", "ADDRESS:PORT to serve HTTPS on; port 0 is any free one; empty: no HTTPS", &c.https_listen},
      {"https", "tls_directory", "directory of cert.pem and key.pem, made on first use; empty: DATA/tls", &c.tls_directory},
      {"https", "workers", "threads that do the work of sessions", &c.https.workers},
      {"https", "waiting_workers", "in a replica set, threads in which sessions wait for other servers: requests that are forwarded, small pushes until others have them", &c.https.waiting_workers},
      {"https", "logins_waiting_max", "passwords that are checked at once, by half as many threads as workers, or wait for it", &c.https.logins_waiting_max},
      {"https", "connections_max", "open connections", &c.https.connections_max},
      {"https", "connections_per_address_max", "open connections of one client address", &c.https.connections_per_address_max},
      {"https", "header_bytes_max", "bytes of a request's header", &c.https.header_bytes_max},
      {"https", "header_seconds_max", "seconds for a whole request header, and for the TLS handshake", &c.https.header_seconds_max},
      {"https", "idle_seconds_max", "seconds between requests, and for one write", &c.https.idle_seconds_max},
      {"https", "body_idle_seconds_max", "seconds for one read of a request body; a client may compress its pack for minutes", &c.https.body_idle_seconds_max},
      {"https", "rate_bytes_per_second_min", "slowest upload or download; measured from rate_grace_seconds on", &c.https.rate_bytes_per_second_min, 0},
      {"https", "rate_grace_seconds", "seconds of a request before its rate counts", &c.https.rate_grace_seconds},
      {"https", "gzip_body_bytes_max", "inflated bytes of a compressed request body", &c.https.gzip_body_bytes_max},
      {"ssh", "listen", "ADDRESS:PORT to serve SSH on; empty: no SSH", &c.ssh_listen},
      {"ssh", "key_directory", "directory of the host keys, made on first use; empty: DATA/ssh", &c.ssh_key_directory},
      {"ssh", "connections_max", "open connections", &c.ssh.connections_max},
      {"ssh", "connections_per_address_max", "open connections of one client address", &c.ssh.connections_per_address_max},
      {"ssh", "unauthenticated_max", "connections that have not logged in yet", &c.ssh.unauthenticated_max},
      {"ssh", "unauthenticated_per_address_max", "connections of one client address that have not logged in yet", &c.ssh.unauthenticated_per_address_max},
      {"ssh", "auth_tries_max", "keys a client may offer", &c.ssh.auth_tries_max},
      {"ssh", "login_messages_max", "messages from a client until it has logged in; each authentication request is one", &c.ssh.login_messages_max, 16},
      {"ssh", "control_messages_max", "messages from a client that carry no data, beyond one for each packet sent to it", &c.ssh.control_messages_max, 256},
      {"ssh", "unsent_bytes_max", "bytes held for a client that does not read", &c.ssh.unsent_bytes_max, 1 << 18},
      {"ssh", "login_seconds_max", "seconds from the connection to the command", &c.ssh.login_seconds_max},
      {"ssh", "idle_seconds_max", "seconds without a byte either way", &c.ssh.idle_seconds_max},
      {"ssh", "rate_bytes_per_second_min", "slowest session, both ways together; measured from rate_grace_seconds of waiting for the client on", &c.ssh.rate_bytes_per_second_min, 0},
      {"ssh", "rate_grace_seconds", "seconds of waiting for the client before its rate counts", &c.ssh.rate_grace_seconds},
      {"admin", "socket", "path of the admin socket; empty: DATA/vexord.sock", &c.admin_socket},
      {"admin", "shell_user", "user that sshd runs vexor-shell as (OpenSSH mode); empty: none", &c.shell_user},
      {"monitor", "listen", "ADDRESS:PORT for plain-HTTP /healthz and /metrics; empty: none", &c.monitor_listen},
      {"rocksdb", "block_cache_bytes", "bytes of the block cache", &c.rocksdb.block_cache_bytes},
      {"rocksdb", "write_buffer_bytes", "bytes of rows held before they go to files", &c.rocksdb.write_buffer_bytes},
      {"rocksdb", "background_jobs", "threads that flush and compact", &c.rocksdb.background_jobs},
      {"rocksdb", "open_files_max", "files that are kept open", &c.rocksdb.open_files_max, 64},
      {"maintenance", "tasks", "what is done to all repositories, in this order: thaw, sweep, redelta, merge, scrub, freeze, separated by commas; empty: nothing", &c.maintenance.tasks},
      {"maintenance", "pause_seconds", "seconds from the start, and from the end of one pass over the store, to the next pass", &c.maintenance.pause_seconds},
      {"maintenance", "bytes_per_second", "bytes that a pass reads and writes a second", &c.maintenance.bytes_per_second},
      {"maintenance", "redelta_growth_percent", "deltas of a repository and its forks are made anew when its objects became so many per cent more", &c.maintenance.policy.redelta_growth_percent, 0},
      {"maintenance", "redelta_window", "objects that each one is tried against for a delta", &c.maintenance.policy.redelta_window},
      {"maintenance", "redelta_depth", "deltas upon deltas that are made, at most 250", &c.maintenance.policy.redelta_depth},
      {"maintenance", "redelta_window_bytes", "bytes of the objects held to be tried, with their indexes", &c.maintenance.policy.redelta_window_bytes, 1 << 20},
      {"maintenance", "freeze_idle_seconds", "seconds without fetch or push, since the start at most, after which a repository goes over into the cold form", &c.maintenance.policy.freeze_idle_seconds, 0},
      {"maintenance", "thaw_fetches", "fetches from the cold form after which it is thawed", &c.maintenance.policy.thaw_fetches},
      {"maintenance", "compact_bytes_min", "bytes that freezing and thawing replace in a repository before its files are rewritten", &c.maintenance.policy.compact_bytes_min, 0},
      {"maintenance", "scrub_interval_seconds", "seconds after which a repository that was found whole is scrubbed again", &c.maintenance.policy.scrub_interval_seconds, 0},
      {"retention", "object_seconds", "seconds that an object which no ref reaches stays after its push and after the last ref left it", &c.maintenance.policy.sweep_retention_seconds, 0},
      {"retention", "deleted_repository_seconds", "seconds after its deletion that a deleted repository keeps its objects", &c.maintenance.policy.deleted_retention_seconds, 0},
      {"retention", "in_set", "1: the primary of a replica set has what is past these forgotten on all members (retention.md); 0: they keep everything", &c.maintenance.forgets_in_set, 0},
      {"retention", "forgotten_seconds", "seconds that a member of a replica set keeps the bytes of what was forgotten, to be recalled", &c.maintenance.policy.forgotten_retention_seconds, 0},
      {"purge", "persons", "accounts, separated by commas, two of which can purge a deleted repository for good; fewer than two: nobody can", &c.purge_persons},
      {"purge", "request_seconds", "seconds after which a purge that nobody approved is void", &c.admin.purge.policy.request_seconds},
      {"archive", "freeze_seconds", "seconds between two looks of an archive, which keeps everything in the cold form; 0: the store is none", &c.maintenance.archive_freeze_seconds, 0},
      {"replication", "node", "number of this member of a replica set; 0: the store is no member of one", &c.replication.node, 0},
      {"replication", "listen", "HOST:PORT for the other members", &c.replication.listen},
      {"replication", "peers", "ID=HOST:PORT of each other member, separated by commas", &c.replication.peers},
      {"replication", "etcd", "HOST:PORT of each etcd server, separated by commas", &c.replication.etcd},
      {"replication", "etcd_key", "key of the set's record in etcd", &c.replication.etcd_key},
      {"replication", "etcd_ca_file", "PEM file of the authority that signed etcd's certificate; empty: no TLS, for loopback addresses only", &c.replication.etcd_ca_file},
      {"replication", "etcd_certificate_file", "PEM file of the certificate that this member shows etcd", &c.replication.etcd_certificate_file},
      {"replication", "etcd_key_file", "PEM file of its key", &c.replication.etcd_key_file},
      {"replication", "ca_file", "PEM file of the authority that signs members; empty: no TLS, for loopback addresses only", &c.replication.ca_file},
      {"replication", "certificate_file", "PEM file of this member's certificate, for the name node-ID.vexor", &c.replication.certificate_file},
      {"replication", "key_file", "PEM file of its key", &c.replication.key_file},
      {"replication", "reads", "linearizable: a read shows all that was acknowledged anywhere; eventual: what is here; primary: reads are served by the primary too", &c.replication.reads},
      {"replication", "heartbeat_ms", "milliseconds between messages of the primary", &c.replication.heartbeat_ms},
      {"replication", "lease_ms", "milliseconds that a standby promises not to take over after it heard the primary", &c.replication.lease_ms},
      {"replication", "detector_ms", "milliseconds of silence after which a standby takes over", &c.replication.detector_ms},
      {"replication", "offsite_wait_ms", "milliseconds that a push waits for the off-site server after it is committed; not if the link's round trip is longer", &c.replication.offsite_wait_ms, 0},
      {"replication", "all_wait_ms", "milliseconds that a push waits for members out of sync if the set's record says copies = all", &c.replication.all_wait_ms, 0},
      {"replication", "proposal_wait_ms", "milliseconds after which a push that is not committed is told that its outcome is not known", &c.replication.proposal_wait_ms},
      {"replication", "copy_bytes_per_second", "bytes a second that a copy of this member's store may take", &c.replication.copy_bytes_per_second},
      {"replication", "link_rows", "1: rows of large pushes go to another site inflated and in zstd: less of the link, more CPU at both ends; 0: as they are stored", &c.replication.link_rows, 0},
      {"replication", "site_bytes_per_second", "bytes a second that pushes may take to another site; 0: any number", &c.replication.site_bytes_per_second, 0},
      {"replication", "copy_lag_entries", "a member so many journal records behind is offered a copy", &c.replication.copy_lag_entries},
      {"limits", "pack_bytes_max", "bytes of a received pack", &l.pack_bytes_max},
      {"limits", "object_bytes_max", "inflated bytes of one blob", &l.object_bytes_max},
      {"limits", "structured_object_bytes_max", "inflated bytes of one commit, tree or tag", &l.structured_object_bytes_max},
      {"limits", "delta_object_bytes_max", "inflated bytes of a delta's base or result (held in memory)", &l.delta_object_bytes_max},
      {"limits", "objects_per_push_max", "objects in one push", &l.objects_per_push_max},
      {"limits", "delta_depth_max", "deltas upon deltas", &l.delta_depth_max},
      {"limits", "chain_bytes_max", "bytes of all objects of a chain of deltas; one that would have more, and more than 64 of its last object, is begun anew with a whole object", &l.chain_bytes_max},
      {"limits", "whole_bytes_per_push_max", "bytes of the objects of one push with which chains are begun anew", &l.whole_bytes_per_push_max},
      {"limits", "resolve_bytes_max", "inflated bytes of all objects of one push", &l.resolve_bytes_max},
      {"limits", "tree_depth_max", "trees in trees, and tags of tags", &l.tree_depth_max},
      {"limits", "commit_parents_max", "parents of one commit", &l.commit_parents_max},
      {"limits", "parents_per_push_max", "parents of all commits of one push", &l.parents_per_push_max},
      {"limits", "refs_per_repository_max", "refs in one repository", &l.refs_per_repository_max},
      {"limits", "ref_updates_per_push_max", "refs changed by one push", &l.ref_updates_per_push_max},
      {"limits", "ref_name_bytes_per_push_max", "bytes of all ref names of a push", &l.ref_name_bytes_per_push_max},
      {"limits", "ref_parent_bytes_per_push_max", "bytes of all directories of a push's new refs", &l.ref_parent_bytes_per_push_max},
      {"limits", "protect_rules_max", "protect rules of one repository", &l.protect_rules_max},
      {"limits", "protect_bytes_max", "bytes of the patterns and users' names of one repository's protect rules", &l.protect_bytes_max},
      {"limits", "wants_max", "want lines of a fetch", &l.wants_max},
      {"limits", "haves_max", "have lines of a fetch", &l.haves_max},
      {"limits", "push_options_max", "options of a push", &l.push_options_max},
      {"limits", "push_option_bytes_max", "bytes of one push option", &l.push_option_bytes_max},
      {"limits", "ref_prefixes_max", "ref-prefix lines of ls-refs", &l.ref_prefixes_max},
      {"limits", "shallow_lines_max", "shallow or deepen-not lines", &l.shallow_lines_max},
      {"limits", "filter_spec_bytes_max", "bytes of a filter-spec", &l.filter_spec_bytes_max},
      {"limits", "filter_terms_max", "filters in one combine:", &l.filter_terms_max},
      {"limits", "filter_pattern_bytes_max", "bytes of the blob of sparse:oid", &l.filter_pattern_bytes_max},
      {"limits", "filter_patterns_max", "patterns in the blob of sparse:oid", &l.filter_patterns_max},
      {"limits", "filter_visits_max", "trees that one sparse:oid visits", &l.filter_visits_max},
      {"limits", "filter_path_bytes_max", "bytes of one path that a sparse:oid looks at", &l.filter_path_bytes_max},
      {"limits", "filter_work_max", "bytes of the patterns of a sparse:oid times bytes of the paths they are tried on", &l.filter_work_max},
      {"limits", "object_info_max", "ids in one object-info command", &l.object_info_max},
      {"limits", "request_header_lines_max", "capability lines of one command", &l.request_header_lines_max},
      {"limits", "ingest_memory_bytes", "bytes of delta bases held by one push", &l.ingest_memory_bytes},
      {"limits", "fetch_cache_bytes", "bytes of delta bases held by one fetch", &l.fetch_cache_bytes},
      {"limits", "spool_memory_bytes", "bytes of a push held before it goes to a file", &l.spool_memory_bytes},
  };
}

Error at_line(const std::filesystem::path& path, const toml::node& node, const std::string& what) {
  return Error(Errc::kInvalidArgument, path.filename().string() + ":" + std::to_string(node.source().begin.line) + ": " + what);
}

Result<void> assign(const std::filesystem::path& path, const Key& key, const toml::node& node) {
  const std::string name = std::string(key.section) + "." + key.name;
  if (auto* const* text = std::get_if<std::string*>(&key.target)) {
    const auto value = node.value_exact<std::string>();
    if (!value) return at_line(path, node, name + " must be a string");
    **text = *value;
    return success();
  }
  const auto value = node.value_exact<std::int64_t>();
  if (!value) return at_line(path, node, name + " must be a whole number");
  if (*value < key.least) return at_line(path, node, name + " must be at least " + std::to_string(key.least));
  return std::visit([&](auto* target) -> Result<void> {
    using T = std::remove_pointer_t<decltype(target)>;
    if constexpr (!std::is_same_v<T, std::string>) {
      if (static_cast<std::uint64_t>(*value) > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) return at_line(path, node, name + " is too large");
      *target = static_cast<T>(*value);
    }
    return success();
  }, key.target);
}

std::string current_value(const Target& target) {
  return std::visit([](auto* value) -> std::string {
    if constexpr (std::is_same_v<decltype(value), std::string*>) return "\"" + *value + "\"";
    else return std::to_string(*value);
  }, target);
}

Result<void> split_endpoint(const std::string& name, const std::string& text, std::string& address, std::uint16_t& port) {
  const auto invalid = [&] { return Error(Errc::kInvalidArgument, name + " takes ADDRESS:PORT, and this is none: " + text); };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) return invalid();
  address = text.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  unsigned value = 0;
  for (const char c : text.substr(colon + 1)) {
    if (c < '0' || c > '9' || value > 65535) return invalid();
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  if (value > 65535) return invalid();
  port = static_cast<std::uint16_t>(value);
  return success();
}

Result<std::vector<MaintenanceTask>> parse_task_list(const std::string& text) {
  std::vector<MaintenanceTask> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const auto task = parse_maintenance_task(text.substr(at, comma - at));
    if (!task) return Error(Errc::kInvalidArgument, "maintenance.tasks: unknown task: " + text.substr(at, comma - at));
    out.push_back(*task);
    at = comma + 1;
  }
  return out;
}

}  // namespace

Result<void> read_config(const std::filesystem::path& path, ServerConfig& config) {
  toml::table root;
  try {
    root = toml::parse_file(path.string());
  } catch (const toml::parse_error& error) {
    return Error(Errc::kInvalidArgument, path.filename().string() + ":" + std::to_string(error.source().begin.line) + ": " + std::string(error.description()));
  }
  const std::vector<Key> keys = keys_of(config);
  for (const auto& [section_name, section] : root) {
    const std::string section_text(section_name.str());
    bool known_section = false;
    for (const Key& key : keys) known_section = known_section || section_text == key.section;
    if (!known_section || !section.is_table()) return at_line(path, section, "unknown section [" + section_text + "]");
    for (const auto& [key_name, node] : *section.as_table()) {
      const Key* found = nullptr;
      for (const Key& key : keys) {
        if (section_text == key.section && key_name.str() == key.name) found = &key;
      }
      if (found == nullptr) return at_line(path, node, "unknown key " + section_text + "." + std::string(key_name.str()));
      VEXOR_TRY(assign(path, *found, node));
    }
  }
  return success();
}

Result<void> complete_config(ServerConfig& config) {
  if (config.data.empty()) return Error(Errc::kInvalidArgument, "no data directory: give --data, or server.data in the configuration");
  const std::filesystem::path data(config.data);
  config.https.tls_directory = config.tls_directory.empty() ? data / "tls" : std::filesystem::path(config.tls_directory);
  config.ssh.key_directory = config.ssh_key_directory.empty() ? data / "ssh" : std::filesystem::path(config.ssh_key_directory);
  config.admin.socket = config.admin_socket.empty() ? data / "vexord.sock" : std::filesystem::path(config.admin_socket);
  config.https.keep_alive_ms = config.ssh.keep_alive_ms = config.admin.keep_alive_ms = config.keep_alive_ms;
  if (!config.https_listen.empty()) {
    VEXOR_TRY(split_endpoint("https.listen", config.https_listen, config.https.address, config.https.port));
  }
  if (!config.ssh_listen.empty()) {
    VEXOR_TRY(split_endpoint("ssh.listen", config.ssh_listen, config.ssh.address, config.ssh.port));
  }
  if (!config.monitor_listen.empty()) {
    VEXOR_TRY(split_endpoint("monitor.listen", config.monitor_listen, config.monitor.address, config.monitor.port));
  }
  VEXOR_TRY(check_replica_settings(config.replication));
  VEXOR_TRY(config.maintenance.task_list, parse_task_list(config.maintenance.tasks));
  if (config.maintenance.forgets_in_set > 1) return Error(Errc::kInvalidArgument, "retention.in_set is 0 or 1");
  config.maintenance.policy.forgets_in_set = config.maintenance.forgets_in_set == 1;
  const bool thaws = std::find(config.maintenance.task_list.begin(), config.maintenance.task_list.end(), MaintenanceTask::kThaw) != config.maintenance.task_list.end();
  if (config.maintenance.archive_freeze_seconds > 0 && thaws) {
    return Error(Errc::kInvalidArgument, "archive.freeze_seconds keeps everything cold: take thaw out of maintenance.tasks");
  }
  config.admin.purge.policy.persons.clear();
  for (std::size_t at = 0; at < config.purge_persons.size();) {
    const std::size_t comma = std::min(config.purge_persons.find(',', at), config.purge_persons.size());
    const std::string person = config.purge_persons.substr(at, comma - at);
    if (person.empty() || person.find(' ') != std::string::npos) return Error(Errc::kInvalidArgument, "purge.persons takes account names, separated by commas and nothing else");
    config.admin.purge.policy.persons.push_back(person);
    at = comma + 1;
  }
  if (!config.shell_user.empty()) {
    const passwd* user = getpwnam(config.shell_user.c_str());
    if (user == nullptr) return Error(Errc::kInvalidArgument, "admin.shell_user: no such user: " + config.shell_user);
    config.admin.shell_uid = user->pw_uid;
  }
  return success();
}

std::string documented_config() {
  ServerConfig defaults;
  std::string out = "# vexord configuration: every key with its default. Unknown keys are errors.\n";
  std::string section;
  for (const Key& key : keys_of(defaults)) {
    if (section != key.section) {
      section = key.section;
      out += "\n[" + section + "]\n";
    }
    out += "# " + std::string(key.meaning) + "\n" + key.name + " = " + current_value(key.target) + "\n";
  }
  return out;
}

}  // namespace vexor::frontend
