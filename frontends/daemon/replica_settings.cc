#include "daemon/replica_options.h"

#include <boost/asio/ip/address.hpp>

#include "common/certificate.h"
#include "vexorstore/sys/random.h"

namespace vexor::frontend {

namespace {

constexpr std::uint64_t kSiteBytesPerSecondMin = 1U << 20U;

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    if (comma > at) out.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return out;
}

Result<std::map<replication::NodeId, std::string>> parse_peers(const ReplicaSettings& settings) {
  std::map<replication::NodeId, std::string> out;
  for (const std::string& peer : split(settings.peers)) {
    const std::size_t equals = peer.find('=');
    replication::NodeId id = 0;
    bool good = equals != std::string::npos && equals > 0 && equals < 19 && peer.find(':', equals) != std::string::npos;
    for (std::size_t i = 0; good && i < equals; ++i) {
      good = peer[i] >= '0' && peer[i] <= '9';
      id = id * 10 + static_cast<replication::NodeId>(peer[i] - '0');
    }
    if (!good || id == 0 || id == settings.node || !out.emplace(id, peer.substr(equals + 1)).second) {
      return Error(Errc::kInvalidArgument, "replication.peers takes ID=HOST:PORT of each other member, and this is none: " + peer);
    }
  }
  return out;
}

// Of HOST:PORT; a name but "localhost" may lead anywhere.
bool is_loopback(const std::string& address) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  boost::system::error_code failed;
  const auto parsed = boost::asio::ip::make_address(host, failed);
  return failed ? host == "localhost" : parsed.is_loopback();
}

// Whether any and whether all are named.
std::pair<bool, bool> count_files(const std::string& ca, const std::string& certificate, const std::string& key) {
  return {!ca.empty() || !certificate.empty() || !key.empty(), !ca.empty() && !certificate.empty() && !key.empty()};
}

replication::Incarnation draw_incarnation() {
  replication::Incarnation out = 0;
  for (const char octet : sys::random_bytes(8)) out = out << 8U | static_cast<unsigned char>(octet);
  return out | 1U;
}

}  // namespace

replication::Options timers_of(const ReplicaSettings& settings) {
  replication::Options out;
  out.heartbeat_ms = settings.heartbeat_ms;
  out.lease_ms = settings.lease_ms;
  out.detector_ms = settings.detector_ms;
  out.offsite_wait_ms = settings.offsite_wait_ms;
  out.all_wait_ms = settings.all_wait_ms;
  out.proposal_wait_ms = settings.proposal_wait_ms;
  out.copy_lag_entries = settings.copy_lag_entries;
  return out;
}

Result<void> check_replica_settings(const ReplicaSettings& settings) {
  if (settings.node == 0) return success();
  VEXOR_TRY(parse_peers(settings));
  if (settings.listen.empty()) return Error(Errc::kInvalidArgument, "replication.listen is missing");
  if (split(settings.etcd).empty()) return Error(Errc::kInvalidArgument, "replication.etcd is missing");
  if (settings.copy_bytes_per_second == 0) return Error(Errc::kInvalidArgument, "replication.copy_bytes_per_second is 0");
  if (settings.site_bytes_per_second != 0 && settings.site_bytes_per_second < kSiteBytesPerSecondMin) {
    return Error(Errc::kInvalidArgument, "replication.site_bytes_per_second is below 1048576, with which large pieces would seem to get on no more");
  }
  if (settings.reads != "linearizable" && settings.reads != "eventual" && settings.reads != "primary") {
    return Error(Errc::kInvalidArgument, "replication.reads is not \"linearizable\", \"eventual\" or \"primary\"");
  }
  const auto [any, all] = count_files(settings.ca_file, settings.certificate_file, settings.key_file);
  if (any != all) return Error(Errc::kInvalidArgument, "replication: ca_file, certificate_file and key_file belong together");
  if (!all && !is_loopback(settings.listen)) return Error(Errc::kInvalidArgument, "replication without certificates is for loopback addresses only");
  VEXOR_TRY(certificate_ends(settings));  // that the files are good
  VEXOR_TRY(check_etcd(etcd_of(settings)));
  if (!timers_of(settings).valid()) {
    return Error(Errc::kInvalidArgument, "replication: lease_ms must be at least three heartbeat_ms and below detector_ms");
  }
  return success();
}

replication::EtcdOptions etcd_of(const ReplicaSettings& settings) {
  replication::EtcdOptions out;
  out.endpoints = split(settings.etcd);
  out.key = settings.etcd_key;
  out.ca_file = settings.etcd_ca_file;
  out.certificate_file = settings.etcd_certificate_file;
  out.key_file = settings.etcd_key_file;
  return out;
}

Result<void> check_etcd(const replication::EtcdOptions& options) {
  const auto [any, all] = count_files(options.ca_file, options.certificate_file, options.key_file);
  if (any != all) return Error(Errc::kInvalidArgument, "the files of etcd's authority, of the certificate shown to it and of its key belong together");
  // Who writes the record decides who leads.
  for (const std::string& endpoint : options.endpoints) {
    if (!all && !is_loopback(endpoint)) return Error(Errc::kInvalidArgument, "etcd without certificates is for loopback addresses only: " + endpoint);
  }
  return success();
}

Result<std::vector<std::pair<std::string, std::int64_t>>> certificate_ends(const ReplicaSettings& settings) {
  std::vector<std::pair<std::string, std::int64_t>> out;
  const auto add = [&](const char* what, const std::string& certificate, const std::string& key) -> Result<void> {
    if (certificate.empty()) return success();
    VEXOR_TRY(const std::int64_t ends, certificate_end(certificate, key));
    out.emplace_back(what, ends);
    return success();
  };
  VEXOR_TRY(add("members", settings.certificate_file, settings.key_file));
  VEXOR_TRY(add("etcd", settings.etcd_certificate_file, settings.etcd_key_file));
  return out;
}

Result<replication::TransportOptions> transport_of(const ReplicaSettings& settings) {
  replication::TransportOptions out;
  out.self = settings.node;
  out.incarnation = draw_incarnation();
  out.listen = settings.listen;
  VEXOR_TRY(out.peers, parse_peers(settings));
  out.ca_file = settings.ca_file;
  out.certificate_file = settings.certificate_file;
  out.key_file = settings.key_file;
  out.copy_bytes_per_second = settings.copy_bytes_per_second;
  out.link_rows = settings.link_rows != 0;
  out.site_bytes_per_second = settings.site_bytes_per_second;
  return out;
}

}  // namespace vexor::frontend
