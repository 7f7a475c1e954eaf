// receive-pack: serves push. Protocol versions 0 and 1 (2 does not exist for pushes).
// Spec: gitprotocol-pack "Pushing Data To a Server", docs/protocol/README.md.
#pragma once

#include <memory>

#include "vexorstore/protocol/session.h"
#include "vexorstore/store.h"

namespace vexor::protocol {

struct ReceivePackOptions {
  int version = 0;
  bool stateless = false;
  bool advertise_only = false;
  std::string session_id;  // told to the client when not empty; printable, without spaces
  Actor actor;
};

Result<std::unique_ptr<Session>> make_receive_pack(Store& store, const RepositoryInfo& repository,
                                                   const ReceivePackOptions& options);

}  // namespace vexor::protocol
