#include "https/tls.h"

#include <openssl/ssl.h>
#include <unistd.h>

#include "common/certificate.h"
#include "replication/host/durable_files.h"

namespace vexor::frontend {

Result<void> ensure_certificate(const std::filesystem::path& directory) {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  const auto cert_path = directory / "cert.pem";
  const auto key_path = directory / "key.pem";
  if (std::filesystem::exists(cert_path) && std::filesystem::exists(key_path)) return success();
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  CertificateSpec spec;
  spec.common_name = std::string(host).substr(0, 64);
  spec.alternative_names = "DNS:localhost,IP:127.0.0.1,IP:::1,DNS:" + std::string(host);
  spec.is_authority = true;  // clients take it for the authority that they trust
  VEXOR_TRY(const CertificateAndKey made, make_certificate(spec));
  // The key comes last: a crash between the two is as if there was none yet. One that is there already is not ours.
  if (std::filesystem::exists(key_path)) return Error(Errc::kIo, "there is a TLS key without its certificate: " + key_path.string());
  VEXOR_TRY(replication::write_file_durably(cert_path, made.certificate));
  return replication::write_file_durably(key_path, made.key);
}

Result<std::int64_t> load_certificate(boost::asio::ssl::context& context, const std::filesystem::path& directory) {
  SSL_CTX* raw = context.native_handle();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  boost::system::error_code failed;
  context.use_certificate_chain_file((directory / "cert.pem").string(), failed);
  if (!failed) context.use_private_key_file((directory / "key.pem").string(), boost::asio::ssl::context::pem, failed);
  if (failed) return Error(Errc::kIo, "TLS certificate: " + failed.message());
  return certificate_end(directory / "cert.pem", directory / "key.pem");
}

}  // namespace vexor::frontend
