// X.509 certificates with keys on P-256: of a server's own, of an authority, or signed by one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "vexorstore/result.h"

namespace vexor::frontend {

struct CertificateSpec {
  std::string common_name;        // at most 64 octets
  std::string alternative_names;  // as of OpenSSL: "DNS:a.example,IP:10.0.0.1"; empty: none
  bool is_authority = false;      // may sign others
  unsigned days = 825;            // from an hour ago on
};

// Both in PEM.
struct CertificateAndKey {
  std::string certificate;
  std::string key;
};

// With a new key; signed by `authority`, or by itself. Any thread; takes milliseconds. Errors: kInvalidArgument (an authority that cannot
// be read, or whose key is another one's; a name that is none), kIo.
Result<CertificateAndKey> make_certificate(const CertificateSpec& spec, const CertificateAndKey* authority = nullptr);

// When the first certificate of a PEM file ends: Unix time in seconds. Reads two files. Errors: kInvalidArgument (a file that cannot be read, or a key
// that is another one's).
Result<std::int64_t> certificate_end(const std::filesystem::path& certificate, const std::filesystem::path& key);

}  // namespace vexor::frontend
