#include "pack/family_walk.h"

#include <algorithm>

#include "base/check.h"
#include "format/delta.h"

namespace vexor::pack {

namespace {
// Objects whose ids are computed together.
constexpr std::size_t kUnnamedMax = 128;
constexpr std::uint64_t kUnnamedBytesMax = 4U << 20U;
}  // namespace

void DeltaChildren::sort(std::size_t entries) {
  std::sort(by_id_.begin(), by_id_.end());
  std::sort(pairs_.begin(), pairs_.end());
  starts_.assign(entries + 1, 0);
  children_.clear();
  children_.reserve(pairs_.size());
  for (const auto& [base, child] : pairs_) {
    ++starts_[base + 1];
    children_.push_back(child);
  }
  for (std::size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
}

std::vector<std::uint32_t> DeltaChildren::of_id(const ObjectId& base) const {
  std::vector<std::uint32_t> out;
  auto it = std::lower_bound(by_id_.begin(), by_id_.end(), std::make_pair(base, std::uint32_t{0}));
  for (; it != by_id_.end() && it->first == base; ++it) out.push_back(it->second);
  return out;
}

FamilyWalk::FamilyWalk(ResolveState& state, std::uint64_t memory_bytes, std::uint64_t large_bytes)
    : state_(state), reader_(state.entries, state.spool, state.stored, state.limits, memory_bytes / 16),
      memory_bytes_(memory_bytes - memory_bytes / 16), large_bytes_(large_bytes) {}

std::vector<std::uint32_t> FamilyWalk::children_of(std::uint32_t entry) const {
  const auto named_by_place = state_.children.of(entry);
  std::vector<std::uint32_t> out(named_by_place.begin(), named_by_place.end());
  if (!by_id_) return out;
  const std::vector<std::uint32_t> named_by_id = state_.children.of_id(state_.entries[entry].id);
  out.insert(out.end(), named_by_id.begin(), named_by_id.end());
  std::erase_if(out, [this](std::uint32_t child) { return state_.entries[child].resolved; });
  return out;
}

void FamilyWalk::begin(std::uint32_t root, bool by_id) {
  VEXOR_CHECK(frames_.empty());
  by_id_ = by_id;
  frames_.push_back({root, nullptr, children_of(root)});
}

void FamilyWalk::begin_stored(std::shared_ptr<const std::string> base, std::vector<std::uint32_t> children) {
  VEXOR_CHECK(frames_.empty());
  by_id_ = true;
  frames_.push_back({kNoEntry, nullptr, std::move(children)});
  set_content(frames_.back(), std::move(base), {});  // checked when it was pushed, by rules of then
}

void FamilyWalk::set_content(Frame& frame, std::shared_ptr<const std::string> content, std::vector<std::uint32_t> ends) {
  frame_bytes_ -= frame.bytes();
  if (frame.content && is_large(frame.content->size())) --large_frames_;
  frame.content = std::move(content);
  frame.ends = std::move(ends);
  frame_bytes_ += frame.bytes();
  if (frame.content && is_large(frame.content->size())) ++large_frames_;
}

// Drops contents held low in the stack when they are too many; read() brings them back.
void FamilyWalk::trim() {
  for (std::size_t i = 0; i + 1 < frames_.size() && frame_bytes_ > memory_bytes_; ++i) {
    if (frames_[i].entry != kNoEntry) set_content(frames_[i], nullptr, {});
  }
}

Result<FamilyWalk::Stop> FamilyWalk::run(std::uint64_t& slice_bytes, bool may_be_large) {
  Stop stop = Stop::kIdle;
  while (!frames_.empty() && stop == Stop::kIdle) {
    std::uint64_t cost = 64;
    VEXOR_TRY(const bool done, resolve_next(may_be_large, cost));
    slice_bytes -= std::min(slice_bytes, cost);
    if (!done) stop = Stop::kLarge;
    else if (slice_bytes == 0) stop = Stop::kSlice;
  }
  return stop;
}

Result<void> FamilyWalk::count(std::uint64_t inflated_bytes) {
  const std::uint64_t inflated = state_.inflated_bytes.fetch_add(inflated_bytes) + inflated_bytes;
  if (inflated > state_.limits.resolve_bytes_max) return Error(Errc::kLimitExceeded, "inflated bytes of a push");
  return success();
}

// False: it is too large for now.
Result<bool> FamilyWalk::hold_top(bool may_be_large, std::uint64_t& cost) {
  Frame& top = frames_.back();
  if (top.content) return true;
  if (!may_be_large && is_large(state_.entries[top.entry].object_bytes)) return false;
  const std::uint64_t before = reader_.made_bytes();
  VEXOR_TRY(auto content, reader_.read(top.entry));
  const std::uint64_t made = reader_.made_bytes() - before;
  cost += made;
  if (state_.entries[top.entry].is_delta) {  // was counted once, and dropped since
    VEXOR_TRY(count(made));
  }
  std::vector<std::uint32_t> ends;
  if (state_.entries[top.entry].type == ObjectType::kTree) {
    std::vector<format::CheckFinding> findings;
    std::vector<ObjectId> modules;
    state_.checker.check_tree_like({}, *content, findings, modules, ends);
  }
  set_content(top, std::move(content), std::move(ends));
  trim();
  return true;
}

// One child, or the end of a family's branch. False: it is too large for now.
Result<bool> FamilyWalk::resolve_next(bool may_be_large, std::uint64_t& cost) {
  if (frames_.back().children.empty()) {
    set_content(frames_.back(), nullptr, {});
    frames_.pop_back();
    return true;
  }
  Frame& parent = frames_.back();
  const std::uint32_t child = parent.children.back();
  PushEntry& entry = state_.entries[child];
  if (entry.resolved) {  // an equal id was resolved twice: one base serves
    parent.children.pop_back();
    return true;
  }
  if (!may_be_large && is_large(entry.entry_bytes)) return false;
  VEXOR_TRY(const bool is_held, hold_top(may_be_large, cost));
  if (!is_held) return false;
  VEXOR_TRY(reader_.inflate(child, delta_));
  const Bytes delta(delta_);
  VEXOR_TRY(const auto sizes, format::decode_delta_sizes(delta));
  if (!may_be_large && is_large(sizes.result_bytes)) return false;
  VEXOR_TRY(count(sizes.result_bytes));
  if (parent.entry != kNoEntry) {
    entry.base_entry = parent.entry;
    entry.type = state_.entries[parent.entry].type;
    entry.depth = state_.entries[parent.entry].depth + 1;
  }
  if (entry.depth > state_.limits.delta_depth_max) return Error(Errc::kLimitExceeded, "delta depth over " + std::to_string(state_.limits.delta_depth_max));
  const std::uint64_t object_max = entry.type == ObjectType::kBlob ? state_.limits.object_bytes_max : state_.limits.structured_object_bytes_max;
  std::string result;
  VEXOR_TRY(format::apply_delta(*parent.content, delta, std::min(state_.limits.delta_object_bytes_max, object_max), result));
  cost += result.size() + delta.size();
  parent.children.pop_back();
  VEXOR_TRY(finish(child, std::move(result)));
  return true;
}

// The top of the stack is the base.
Result<void> FamilyWalk::check(const PushEntry& entry, Bytes content, std::vector<std::uint32_t>& ends) {
  if (entry.type == ObjectType::kBlob) return success();
  std::vector<format::CheckFinding> findings;
  std::vector<ObjectId> modules;
  if (entry.type == ObjectType::kTree) {
    state_.checker.check_tree_like({*frames_.back().content, frames_.back().ends}, content, findings, modules, ends);
  } else {
    state_.checker.check(entry.type, content, findings, modules);
  }
  modules_.insert(modules.begin(), modules.end());
  if (findings.empty()) return success();
  VEXOR_TRY(const ObjectId id, hash_object(state_.algorithm, entry.type, content));
  return refuse_errors(findings, id);
}

Result<void> FamilyWalk::finish(std::uint32_t child, std::string content) {
  PushEntry& entry = state_.entries[child];
  entry.object_bytes = content.size();
  std::vector<std::uint32_t> ends;
  VEXOR_TRY(check(entry, content, ends));
  auto shared = std::make_shared<const std::string>(std::move(content));
  unnamed_bytes_ += shared->size();
  unnamed_.push_back({child, shared});
  if (by_id_ || unnamed_.size() >= kUnnamedMax || unnamed_bytes_ >= std::min(kUnnamedBytesMax, memory_bytes_ / 16)) {
    VEXOR_TRY(name_all());
  }
  entry.resolved = true;
  state_.deltas_resolved.fetch_add(1, std::memory_order_relaxed);
  std::vector<std::uint32_t> children = children_of(child);
  if (children.empty()) return success();
  frames_.push_back({child, nullptr, std::move(children)});
  set_content(frames_.back(), std::move(shared), std::move(ends));
  trim();
  return success();
}

Result<void> FamilyWalk::name_all() {
  std::vector<HashRequest> requests;
  requests.reserve(unnamed_.size());
  for (const Unnamed& it : unnamed_) requests.push_back({state_.entries[it.entry].type, *it.content, {}});
  VEXOR_TRY(hash_objects(state_.algorithm, requests));
  for (std::size_t i = 0; i < unnamed_.size(); ++i) state_.entries[unnamed_[i].entry].id = requests[i].id;
  unnamed_.clear();
  unnamed_bytes_ = 0;
  return success();
}

Result<void> refuse_errors(const std::vector<format::CheckFinding>& findings, const ObjectId& id) {
  for (const format::CheckFinding& finding : findings) {
    if (finding.severity >= format::CheckSeverity::kError) {
      return Error(Errc::kRefused, "object " + id.hex() + ": " + std::string(finding.id) + ": " + finding.detail);
    }
  }
  return success();
}

}  // namespace vexor::pack
