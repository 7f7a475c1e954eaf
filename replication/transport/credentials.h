// Files in PEM as gRPC's credentials.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>

#include "vexorstore/result.h"

namespace vexor::replication {

// Errors: kIo.
Result<std::string> read_text_file(const std::string& path);
// All empty: no TLS.
Result<std::shared_ptr<grpc::ChannelCredentials>> client_credentials(const std::string& ca_file, const std::string& certificate_file,
                                                                     const std::string& key_file);

}  // namespace vexor::replication
