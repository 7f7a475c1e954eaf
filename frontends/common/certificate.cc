#include "common/certificate.h"

#include <ctime>
#include <memory>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "vexorstore/sys/random.h"

namespace vexor::frontend {

namespace {

constexpr long kSecondsOfDay = 24L * 3600;
constexpr std::size_t kSerialBytes = 16;  // RFC 5280, 4.1.2.2: at most 20, positive

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Memory = std::unique_ptr<BIO, decltype(&BIO_free)>;

std::string text_of(const Memory& memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

bool add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  if (extension == nullptr) return false;
  const bool done = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return done;
}

bool set_serial(X509* certificate) {
  std::string octets = sys::random_bytes(kSerialBytes);
  octets[0] = static_cast<char>((static_cast<unsigned char>(octets[0]) & 0x7FU) | 0x40U);
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(BN_bin2bn(reinterpret_cast<const unsigned char*>(octets.data()), kSerialBytes, nullptr), BN_free);
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

int tell_no_password(char*, int, int, void*) { return 0; }  // else somebody would be asked

struct Issuer {
  Certificate certificate{nullptr, X509_free};
  Key key{nullptr, EVP_PKEY_free};
};

Result<Issuer> read_issuer(const CertificateAndKey& from) {
  Issuer out;
  const Memory certificate(BIO_new_mem_buf(from.certificate.data(), static_cast<int>(from.certificate.size())), BIO_free);
  const Memory key(BIO_new_mem_buf(from.key.data(), static_cast<int>(from.key.size())), BIO_free);
  if (!certificate || !key) return Error(Errc::kIo, "no memory for a certificate");
  out.certificate.reset(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr));
  out.key.reset(PEM_read_bio_PrivateKey(key.get(), nullptr, tell_no_password, nullptr));
  if (!out.certificate || !out.key) return Error(Errc::kInvalidArgument, "the authority's certificate or key cannot be read");
  if (X509_check_private_key(out.certificate.get(), out.key.get()) != 1) return Error(Errc::kInvalidArgument, "the authority's key is not that of its certificate");
  return out;
}

}  // namespace

Result<CertificateAndKey> make_certificate(const CertificateSpec& spec, const CertificateAndKey* authority) {
  Issuer issuer;
  if (authority != nullptr) {
    VEXOR_TRY(issuer, read_issuer(*authority));
  }
  const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const Certificate made(X509_new(), X509_free);
  if (!key || !made) return Error(Errc::kIo, "cannot make a key");
  X509* const signer = issuer.certificate ? issuer.certificate.get() : made.get();
  X509_set_version(made.get(), 2);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), static_cast<long>(spec.days) * kSecondsOfDay);
  X509_set_pubkey(made.get(), key.get());
  X509_NAME* const name = X509_get_subject_name(made.get());
  const auto* const text = reinterpret_cast<const unsigned char*>(spec.common_name.data());
  if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, static_cast<int>(spec.common_name.size()), -1, 0) != 1) {
    return Error(Errc::kInvalidArgument, "no name for a certificate: " + spec.common_name);
  }
  X509_set_issuer_name(made.get(), X509_get_subject_name(signer));
  const auto add = [&](int nid, const char* value) { return add_extension(made.get(), signer, nid, value); };
  if (!spec.alternative_names.empty() && !add(NID_subject_alt_name, spec.alternative_names.c_str())) {
    return Error(Errc::kInvalidArgument, "no names for a certificate: " + spec.alternative_names);
  }
  const bool is_done = set_serial(made.get()) && add(NID_subject_key_identifier, "hash") && add(NID_authority_key_identifier, "keyid:always") &&
                       add(NID_basic_constraints, spec.is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE") &&
                       add(NID_key_usage, spec.is_authority ? "critical,digitalSignature,keyCertSign,cRLSign" : "critical,digitalSignature") &&
                       X509_sign(made.get(), issuer.key ? issuer.key.get() : key.get(), EVP_sha256()) != 0;
  const Memory certificate_text(BIO_new(BIO_s_mem()), BIO_free);
  const Memory key_text(BIO_new(BIO_s_mem()), BIO_free);
  if (!is_done || !certificate_text || !key_text || PEM_write_bio_X509(certificate_text.get(), made.get()) != 1 ||
      PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return Error(Errc::kIo, "cannot make a certificate");
  }
  return CertificateAndKey{text_of(certificate_text), text_of(key_text)};
}

Result<std::int64_t> certificate_end(const std::filesystem::path& certificate, const std::filesystem::path& key) {
  const Memory certificate_file(BIO_new_file(certificate.c_str(), "r"), BIO_free);
  const Memory key_file(BIO_new_file(key.c_str(), "r"), BIO_free);
  const Certificate read(certificate_file ? PEM_read_bio_X509(certificate_file.get(), nullptr, tell_no_password, nullptr) : nullptr, X509_free);
  if (!read) return Error(Errc::kInvalidArgument, "no certificate can be read from " + certificate.string());
  const Key its_key(key_file ? PEM_read_bio_PrivateKey(key_file.get(), nullptr, tell_no_password, nullptr) : nullptr, EVP_PKEY_free);
  if (!its_key) return Error(Errc::kInvalidArgument, "no key can be read from " + key.string());
  if (X509_check_private_key(read.get(), its_key.get()) != 1) return Error(Errc::kInvalidArgument, key.string() + " is not the key of " + certificate.string());
  std::tm end{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(read.get()), &end) != 1) return Error(Errc::kInvalidArgument, "no time when it ends in " + certificate.string());
  return static_cast<std::int64_t>(::timegm(&end));
}

}  // namespace vexor::frontend
