#include "replication/transport/credentials.h"

#include <fstream>
#include <sstream>

namespace vexor::replication {

Result<std::string> read_text_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  if (!in.good()) return Error(Errc::kIo, "cannot read " + path);
  return out.str();
}

Result<std::shared_ptr<grpc::ChannelCredentials>> client_credentials(const std::string& ca_file, const std::string& certificate_file,
                                                                     const std::string& key_file) {
  if (ca_file.empty() && certificate_file.empty()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  VEXOR_TRY(options.pem_root_certs, read_text_file(ca_file));
  if (!certificate_file.empty()) {
    VEXOR_TRY(options.pem_cert_chain, read_text_file(certificate_file));
    VEXOR_TRY(options.pem_private_key, read_text_file(key_file));
  }
  return grpc::SslCredentials(options);
}

}  // namespace vexor::replication
