// TLS: the server's context, and a self-signed certificate for a first start.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <filesystem>

#include "vexorstore/result.h"

namespace vexor::frontend {

// Makes DIR/cert.pem and DIR/key.pem (0600) unless both are there.
Result<void> ensure_certificate(const std::filesystem::path& directory);
// TLS 1.2 and newer, no renegotiation. Returns when the certificate ends, Unix time in seconds. Errors: kIo, kInvalidArgument (files unreadable or not a pair).
Result<std::int64_t> load_certificate(boost::asio::ssl::context& context, const std::filesystem::path& directory);

}  // namespace vexor::frontend
