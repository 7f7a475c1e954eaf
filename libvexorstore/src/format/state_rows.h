// Values of the state families: refs, reflog, repositories. Spec: docs/format/refs.md, repositories.md.
// Each value starts with a version byte; fields follow in the order declared here, but for what a later version added.
#pragma once

#include <optional>
#include <vector>

#include "format/keys.h"
#include "vexorstore/object_id.h"
#include "vexorstore/receipt.h"

namespace vexor::format {

struct RefRow {
  std::string symref_target;  // non-empty: a symref, and the ids below are unused
  ObjectId id;
  ObjectNumber number = kNoObject;        // of `id`, in the repository's pool
  std::optional<ObjectId> peeled;         // for annotated tags
  ObjectNumber peeled_number = kNoObject;
  std::uint64_t sequence = 0;             // journal sequence of the last change
};
std::string encode_ref_row(const RefRow& row);
Result<RefRow> decode_ref_row(HashAlgorithm algorithm, Bytes value);

struct ReflogRow {
  std::int64_t time_ms = 0;  // Unix time
  std::string actor_name;
  std::string old_row;  // encoded RefRow; empty: the ref did not exist
  std::string new_row;  // encoded RefRow with sequence 0; empty: deleted
};
std::string encode_reflog_row(const ReflogRow& row);
Result<ReflogRow> decode_reflog_row(Bytes value);

struct ProtectRule {
  std::string pattern;
  bool no_force = true;
  bool no_delete = true;
  std::vector<std::string> only_users;  // empty: whoever may write
};

// Items of one list in a repository row: a row with more is not written, and not read.
constexpr std::size_t kRowListMax = 4096;

struct RepositoryRow {
  RepositoryNumber number = 0;
  PoolId pool = 0;
  HashAlgorithm algorithm = HashAlgorithm::kSha1;
  std::string name;                 // "owner/name"
  std::string description;
  bool is_public = false;
  std::int64_t deleted_at_ms = 0;   // 0: alive
  std::string deleted_name;         // the name it had
  RepositoryNumber fork_of = 0;
  std::vector<ProtectRule> protect;
  std::vector<std::string> hidden;  // patterns of refs that are neither shown nor served
  std::string check_policy;         // object checks: "msg-id=severity" separated by commas
  std::uint64_t pack_bytes_max = 0;    // 0: the global limit
  std::uint64_t object_bytes_max = 0;
  std::vector<std::string> bundles;    // "ID.KEY=VALUE" lines of the bundle-uri command
  std::uint32_t refs_max = 0;          // 0: the global limit
  CopyPolicy copies = CopyPolicy::kCluster;  // another one makes it a row of version 2
};
std::string encode_repository_row(const RepositoryRow& row);
Result<RepositoryRow> decode_repository_row(Bytes value);

}  // namespace vexor::format
