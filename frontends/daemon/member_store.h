// Whether the store of a member may take part, and its replacement by a copy if not (docs/protocol/replication.md, S1-S9).
// Also the mark of a single server's store.
//
// Threads: one. Blocks on storage, on etcd and on other members.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "daemon/config.h"
#include "replication/host/store_mark.h"
#include "vexorstore/store.h"

namespace vexor::frontend {

struct OpenStore {
  std::unique_ptr<Store> store;  // null: it must be replaced
  std::unique_ptr<replication::StoreMark> mark;
  std::string needs_copy;  // why
};

// Opens what is in DATA/store. Of a member: finds out whether it may take part, which may need etcd; notes durably that it may not.
// Errors: kInvalidArgument (a store that is not this set's), kIo, kCorrupt (of a single server).
Result<OpenStore> open_store(const ServerConfig& config, const sys::RocksdbOptions& rocksdb, const StoreOptions& options);

// Notes that the store must not take part any more. It is closed.
Result<void> give_up_store(const ServerConfig& config, const std::string& reason);

// Tries until the store is replaced. `tell`: what is going on, for operators; one line.
void replace_store(const ServerConfig& config, const std::function<void(const std::string&)>& tell);

}  // namespace vexor::frontend
