// PackReceiver, second half: deltas to objects. A walk from each base to its deltas, so that no
// chain is resolved twice; what is never reached has no base (or is a cycle) and is refused.
#include <algorithm>

#include "base/check.h"
#include "format/delta.h"
#include "pack/pack_receiver.h"

namespace vexor::pack {

namespace {
constexpr std::uint64_t kSliceBytes = 32U << 20U;  // inflated bytes of one resolve_some()
}

Result<std::string> PackReceiver::inflate(std::uint32_t entry) {
  std::string room;
  const PushEntry& e = entries_[entry];
  if (e.entry_bytes > limits_.delta_object_bytes_max) {
    return Error(Errc::kLimitExceeded, "object too large to be held in memory");
  }
  VEXOR_TRY(const Bytes raw, payload(entry, 0, static_cast<std::size_t>(e.payload_bytes), room));
  return compress::inflate_exact(raw, e.entry_bytes);
}

Result<std::shared_ptr<const std::string>> PackReceiver::read(std::uint32_t entry) {
  std::vector<std::uint32_t> chain;
  std::shared_ptr<const std::string> content = cache_.find(entry);
  std::uint32_t at = entry;
  while (!content) {
    const PushEntry& e = entries_[at];
    if (!e.is_delta) {
      VEXOR_TRY(std::string whole, inflate(at));
      content = std::make_shared<const std::string>(std::move(whole));
      cache_.insert(at, content);
      break;
    }
    chain.push_back(at);
    if (e.base_entry == kNoEntry) {
      VEXOR_CHECK(e.base_number != kNoObject);
      VEXOR_TRY(content, reader_.read(e.base_number));
      break;
    }
    at = e.base_entry;
    content = cache_.find(at);
  }
  while (!chain.empty()) {
    VEXOR_TRY(const std::string delta, inflate(chain.back()));
    std::string result;
    VEXOR_TRY(format::apply_delta(*content, delta, limits_.delta_object_bytes_max, result));
    content = std::make_shared<const std::string>(std::move(result));
    cache_.insert(chain.back(), content);
    chain.pop_back();
  }
  return content;
}

Result<void> PackReceiver::start_resolving() {
  std::sort(ref_children_.begin(), ref_children_.end());
  std::sort(ofs_children_.begin(), ofs_children_.end());
  resolving_ = true;
  return success();
}

std::vector<std::uint32_t> PackReceiver::children_of(std::uint32_t entry, const ObjectId& id) const {
  std::vector<std::uint32_t> out;
  if (entry != kNoEntry) {
    auto it = std::lower_bound(ofs_children_.begin(), ofs_children_.end(), std::make_pair(entry, std::uint32_t{0}));
    for (; it != ofs_children_.end() && it->first == entry; ++it) out.push_back(it->second);
  }
  auto it = std::lower_bound(ref_children_.begin(), ref_children_.end(), std::make_pair(id, std::uint32_t{0}));
  for (; it != ref_children_.end() && it->first == id; ++it) {
    if (!entries_[it->second].resolved) out.push_back(it->second);
  }
  return out;
}

// Drops contents held low in the stack when they are too many; read() brings them back.
void PackReceiver::trim_frames() {
  for (std::size_t i = 0; i + 1 < frames_.size() && frame_bytes_ > limits_.ingest_memory_bytes; ++i) {
    if (!frames_[i].content || frames_[i].entry == kNoEntry) continue;
    frame_bytes_ -= frames_[i].content->size();
    frames_[i].content.reset();
  }
}

Result<std::uint64_t> PackReceiver::resolve_child(std::uint32_t child) {
  Frame& parent = frames_.back();
  PushEntry& entry = entries_[child];
  if (entry.resolved) return 0;  // an equal id was resolved twice: one base serves
  if (!parent.content) {
    VEXOR_TRY(parent.content, read(parent.entry));
    frame_bytes_ += parent.content->size();
  }
  VEXOR_TRY(const std::string delta, inflate(child));
  VEXOR_TRY(const auto sizes, format::decode_delta_sizes(delta));
  inflated_total_ += sizes.result_bytes;
  if (inflated_total_ > limits_.resolve_bytes_max) return Error(Errc::kLimitExceeded, "inflated bytes of a push");
  const std::uint64_t object_max = entries_[child].type == ObjectType::kBlob ? limits_.object_bytes_max : limits_.structured_object_bytes_max;
  std::string result;
  VEXOR_TRY(format::apply_delta(*parent.content, delta, std::min(limits_.delta_object_bytes_max, object_max), result));
  if (parent.entry != kNoEntry) {
    entry.base_entry = parent.entry;
    entry.type = entries_[parent.entry].type;
    entry.depth = entries_[parent.entry].depth + 1;
  }
  if (entry.depth > limits_.delta_depth_max) return Error(Errc::kLimitExceeded, "delta depth over " + std::to_string(limits_.delta_depth_max));
  entry.object_bytes = result.size();
  VEXOR_TRY(entry.id, hash_object(algorithm_, entry.type, result));
  VEXOR_TRY(check_object(entry.type, result, entry.id));
  entry.resolved = true;
  ++resolved_deltas_;
  const std::uint64_t cost = result.size() + delta.size();
  std::vector<std::uint32_t> children = children_of(child, entry.id);
  if (!children.empty()) {
    frame_bytes_ += result.size();
    frames_.push_back({child, std::make_shared<const std::string>(std::move(result)), std::move(children)});
    trim_frames();
  }
  return cost;
}

// False: the repository has no such object.
Result<bool> PackReceiver::push_stored_base(const ObjectId& id) {
  VEXOR_TRY(const auto number, reader_.find(id));
  if (!number || !visible_->contains(*number)) return false;
  VEXOR_TRY(const StoredEntry base, reader_.entry(*number));
  VEXOR_TRY(auto content, reader_.read(*number));
  std::vector<std::uint32_t> children = children_of(kNoEntry, id);
  for (const std::uint32_t child : children) {
    entries_[child].base_number = *number;
    entries_[child].type = base.object.type;
    entries_[child].depth = base.object.depth + 1;
  }
  frame_bytes_ += content->size();
  frames_.push_back({kNoEntry, std::move(content), std::move(children)});
  return true;
}

Result<bool> PackReceiver::resolve_some() {
  VEXOR_CHECK(received());
  if (!resolving_) {
    VEXOR_TRY(start_resolving());
  }
  for (std::uint64_t done = 0; done < kSliceBytes;) {
    if (!frames_.empty()) {
      Frame& top = frames_.back();
      if (top.children.empty()) {
        if (top.content) frame_bytes_ -= top.content->size();
        frames_.pop_back();
        continue;
      }
      const std::uint32_t child = top.children.back();
      top.children.pop_back();
      VEXOR_TRY(const std::uint64_t cost, resolve_child(child));
      done += cost + 64;
      continue;
    }
    if (next_root_ < entries_.size()) {
      const std::uint32_t root = next_root_++;
      done += 16;
      if (entries_[root].is_delta) continue;
      std::vector<std::uint32_t> children = children_of(root, entries_[root].id);
      if (children.empty()) continue;
      VEXOR_TRY(std::string whole, inflate(root));
      done += whole.size();
      frame_bytes_ += whole.size();
      frames_.push_back({root, std::make_shared<const std::string>(std::move(whole)), std::move(children)});
      continue;
    }
    while (next_thin_ < ref_children_.size() && entries_[ref_children_[next_thin_].second].resolved) ++next_thin_;
    if (next_thin_ == ref_children_.size()) {
      for (const auto& [base, child] : ref_children_) {
        if (!entries_[child].resolved) return Error(Errc::kProtocol, "pack: delta base " + base.hex() + " is neither in the pack nor in the repository");
      }
      if (resolved_deltas_ != delta_count_) return Error(Errc::kProtocol, "pack: deltas whose bases form a cycle");
      VEXOR_TRY(check_modules());
      return true;
    }
    const ObjectId base = ref_children_[next_thin_].first;
    done += 1024;
    // A base that is not stored may be a delta of the pack that waits for a stored one itself.
    VEXOR_TRY(const bool is_stored, push_stored_base(base));
    if (!is_stored) ++next_thin_;
  }
  return false;
}

}  // namespace vexor::pack
