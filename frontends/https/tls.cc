#include "https/tls.h"

#include <memory>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "replication/host/durable_files.h"

namespace vexor::frontend {

namespace {

constexpr long kValidSeconds = 825L * 24 * 3600;

bool add_extension(X509* cert, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, cert, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  if (extension == nullptr) return false;
  const bool done = X509_add_ext(cert, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return done;
}

using Memory = std::unique_ptr<BIO, decltype(&BIO_free)>;

Bytes bytes_of(const Memory& memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

Result<void> ensure_certificate(const std::filesystem::path& directory) {
  std::error_code failed;
  std::filesystem::create_directories(directory, failed);
  const auto cert_path = directory / "cert.pem";
  const auto key_path = directory / "key.pem";
  if (std::filesystem::exists(cert_path) && std::filesystem::exists(key_path)) return success();
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> cert(X509_new(), X509_free);
  if (!key || !cert) return Error(Errc::kIo, "cannot make a TLS key");
  X509_set_version(cert.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), kValidSeconds);
  X509_set_pubkey(cert.get(), key.get());
  X509_NAME* name = X509_get_subject_name(cert.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(host), -1, -1, 0);
  X509_set_issuer_name(cert.get(), name);
  const std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1,DNS:" + std::string(host);
  const bool made = add_extension(cert.get(), NID_subject_alt_name, names.c_str()) &&
                    add_extension(cert.get(), NID_basic_constraints, "critical,CA:TRUE") &&
                    X509_sign(cert.get(), key.get(), EVP_sha256()) != 0;
  if (!made) return Error(Errc::kIo, "cannot make a TLS certificate");
  const Memory cert_text(BIO_new(BIO_s_mem()), BIO_free), key_text(BIO_new(BIO_s_mem()), BIO_free);
  if (!cert_text || !key_text || PEM_write_bio_X509(cert_text.get(), cert.get()) != 1 ||
      PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return Error(Errc::kIo, "cannot make a TLS certificate");
  }
  // The key comes last: a crash between the two is as if there was none yet. One that is there already is not ours.
  if (std::filesystem::exists(key_path)) return Error(Errc::kIo, "there is a TLS key without its certificate: " + key_path.string());
  VEXOR_TRY(replication::write_file_durably(cert_path, bytes_of(cert_text)));
  return replication::write_file_durably(key_path, bytes_of(key_text));
}

Result<void> load_certificate(boost::asio::ssl::context& context, const std::filesystem::path& directory) {
  SSL_CTX* raw = context.native_handle();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  boost::system::error_code failed;
  context.use_certificate_chain_file((directory / "cert.pem").string(), failed);
  if (!failed) context.use_private_key_file((directory / "key.pem").string(), boost::asio::ssl::context::pem, failed);
  if (failed) return Error(Errc::kIo, "TLS certificate: " + failed.message());
  return success();
}

}  // namespace vexor::frontend
