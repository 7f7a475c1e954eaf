// Reading trees, commits and tags, as leniently as git's own readers: old repositories hold odd
// objects. Strictness is object_check.h's. Spec: git's gittutorial-2, fsck-msgids.
#pragma once

#include <vector>

#include "vexorstore/object.h"

namespace vexor::format {

struct TreeEntry {
  std::uint32_t mode = 0;
  Bytes name;
  Bytes id_raw;
};

// Walks a tree's entries in stored order. Errors: kCorrupt.
class TreeReader {
 public:
  TreeReader(Bytes tree, HashAlgorithm algorithm) : rest_(tree), id_bytes_(hash_bytes(algorithm)) {}
  Result<bool> next(TreeEntry& entry) {
    if (rest_.empty()) return false;
    std::uint32_t mode = 0;
    std::size_t at = 0;
    while (at < rest_.size() && rest_[at] >= '0' && rest_[at] <= '7' && at < 8) {
      mode = mode * 8 + static_cast<std::uint32_t>(rest_[at++] - '0');
    }
    if (at == 0 || at >= rest_.size() || rest_[at] != ' ') return Error(Errc::kCorrupt, "tree: bad mode");
    const std::size_t end = rest_.find('\0', at + 1);
    if (end == Bytes::npos || rest_.size() - end - 1 < id_bytes_) return Error(Errc::kCorrupt, "tree: cut entry");
    entry = {mode, rest_.substr(at + 1, end - at - 1), rest_.substr(end + 1, id_bytes_)};
    rest_.remove_prefix(end + 1 + id_bytes_);
    return true;
  }

 private:
  Bytes rest_;
  std::size_t id_bytes_;
};

struct CommitView {
  ObjectId tree;
  std::vector<ObjectId> parents;
  std::int64_t commit_time = 0;  // Unix seconds; 0 when unreadable
};
Result<CommitView> parse_commit(Bytes content, HashAlgorithm algorithm);

struct TagView {
  ObjectId target;
  ObjectType target_type = ObjectType::kCommit;
  Bytes name;
};
Result<TagView> parse_tag(Bytes content, HashAlgorithm algorithm);

}  // namespace vexor::format
