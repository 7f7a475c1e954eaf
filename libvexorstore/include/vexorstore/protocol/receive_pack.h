// receive-pack: serves push. Protocol versions 0 and 1 (2 does not exist for pushes).
// Spec: gitprotocol-pack "Pushing Data To a Server", docs/protocol/README.md.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vexorstore/protocol/session.h"
#include "vexorstore/transaction.h"

namespace vexor::protocol {

// A push whose pack arrived, was checked and is not stored yet.
struct PushRequest {
  RepositoryId repository = 0;
  std::string repository_name;
  Actor actor;
  bool atomic = false;
  std::vector<RefUpdate> updates;    // as the client asked for them; not checked against the refs yet
  // What "git push -o" gave, in order. Any bytes but NUL and a last newline; counted and bounded by the limits
  // and otherwise untouched: never make a line, a path, a query or a command of them.
  std::vector<std::string> options;
};

struct ReceivePackOptions {
  int version = 0;
  bool stateless = false;
  bool advertise_only = false;
  std::string session_id;  // told to the client when not empty; printable, without spaces
  Actor actor;
  // This push may have been committed already, by a run of it whose end was not seen: a record of the same actor that comes
  // after this sequence and makes one of these updates stands for it, and the client is told that it is done.
  std::optional<std::uint64_t> may_be_done_after;
  // Asked once for each push, in run_work(), before anything is stored. An error refuses the whole push;
  // with kRefused the client sees its message for every ref, with codes of docs/errors.md what that table says.
  // It must not use the session. The push may still fail afterwards.
  std::function<Result<void>(const PushRequest&)> before_commit;
  // Told in run_work() what was reached, once something of the push is committed by this session. It must not use the session.
  std::function<void(const Receipt&)> after_commit;
};

Result<std::unique_ptr<Session>> make_receive_pack(Store& store, const RepositoryInfo& repository,
                                                   const ReceivePackOptions& options);

}  // namespace vexor::protocol
