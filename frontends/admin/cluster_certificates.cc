// vexorctl cluster certs: the authority of a replica set, and what it signs.
#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <filesystem>
#include <sys/stat.h>

#include "admin/cluster_commands.h"
#include "common/certificate.h"
#include "replication/host/durable_files.h"
#include "replication/transport/credentials.h"

namespace vexor::frontend {

namespace fs = std::filesystem;

namespace {

constexpr unsigned kAuthorityDays = 3650;
constexpr std::size_t kNameCharsMax = 64;  // of a common name

bool is_file_name(const std::string& name) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
  return !name.empty() && name.size() <= kNameCharsMax && std::all_of(name.begin(), name.end(), fits);
}

bool is_host_name(const std::string& name) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; };
  return !name.empty() && name.size() <= 253 && std::all_of(name.begin(), name.end(), fits);
}

// A file name without its end, and what the certificate is for.
struct Wanted {
  std::string file;
  CertificateSpec spec;
};

// "etcd=10.0.0.7,e1.example"
Result<Wanted> parse_server(const std::string& text) {
  const auto invalid = [&] { return Error(Errc::kInvalidArgument, "a server is NAME=HOST[,HOST...], of letters, digits and dashes, and this is none: " + text); };
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) return invalid();
  Wanted out{text.substr(0, equals), {}};
  if (!is_file_name(out.file) || out.file == "ca") return invalid();
  out.spec.common_name = out.file;
  for (std::size_t at = equals + 1; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string host = text.substr(at, comma - at);
    boost::system::error_code is_name;
    boost::asio::ip::make_address(host, is_name);
    if (is_name && !is_host_name(host)) return invalid();
    out.spec.alternative_names += (out.spec.alternative_names.empty() ? "" : ",") + std::string(is_name ? "DNS:" : "IP:") + host;
    at = comma + 1;
  }
  return out;
}

Result<CertificateAndKey> read_pair(const fs::path& without_end) {
  CertificateAndKey out;
  VEXOR_TRY(out.certificate, replication::read_text_file(without_end.string() + ".pem"));
  VEXOR_TRY(out.key, replication::read_text_file(without_end.string() + ".key"));
  return out;
}

bool is_there(const fs::path& without_end, const char* end) { return fs::exists(without_end.string() + end); }

// The key goes last: a crash between the two is as if there was none.
Result<void> write_pair(const fs::path& without_end, const CertificateAndKey& pair) {
  VEXOR_TRY(replication::write_file_durably(without_end.string() + ".pem", pair.certificate));
  return replication::write_file_durably(without_end.string() + ".key", pair.key);
}

}  // namespace

Result<std::string> cluster_certs(const ClusterArguments& args) {
  std::vector<Wanted> wanted;
  for (const std::uint64_t member : args.certificates.members) {
    const std::string name = "node-" + std::to_string(member) + ".vexor";  // docs/protocol/replication.md: what the others look for
    Wanted one{"node" + std::to_string(member), {}};
    one.spec.common_name = name;
    one.spec.alternative_names = "DNS:" + name;
    wanted.push_back(std::move(one));
  }
  for (const std::string& server : args.certificates.servers) {
    VEXOR_TRY(Wanted one, parse_server(server));
    wanted.push_back(std::move(one));
  }
  const fs::path directory(args.certificates.directory);
  std::error_code failed;
  if (fs::create_directories(directory, failed) && ::chmod(directory.c_str(), 0700) != 0) return Error(Errc::kIo, "cannot close a directory: " + directory.string());
  if (failed) return Error(Errc::kIo, "cannot make a directory: " + failed.message());
  const fs::path ca = directory / "ca";
  std::string done;
  if (!is_there(ca, ".pem")) {
    if (is_there(ca, ".key")) return Error(Errc::kInvalidArgument, "there is an authority's key without its certificate: " + ca.string() + ".key");
    CertificateSpec spec;
    spec.common_name = "vexorstore replica set";
    spec.is_authority = true;
    spec.days = kAuthorityDays;
    VEXOR_TRY(const CertificateAndKey made, make_certificate(spec));
    VEXOR_TRY(write_pair(ca, made));
    done += "made " + ca.string() + ".pem, and its key, which belongs nowhere but where certificates are made\n";
  }
  VEXOR_TRY(const CertificateAndKey authority, read_pair(ca));
  for (Wanted& one : wanted) {
    const fs::path path = directory / one.file;
    if (is_there(path, ".pem") && is_there(path, ".key") && !args.certificates.renew) {
      done += "kept " + path.string() + ".pem\n";
      continue;
    }
    one.spec.days = args.certificates.days;
    VEXOR_TRY(const CertificateAndKey made, make_certificate(one.spec, &authority));
    VEXOR_TRY(write_pair(path, made));
    done += "made " + path.string() + ".pem and " + path.string() + ".key, for " + one.spec.alternative_names + "\n";
  }
  if (!done.empty()) done.pop_back();
  return done;
}

}  // namespace vexor::frontend
