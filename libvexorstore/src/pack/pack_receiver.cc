#include "pack/pack_receiver.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace vexor::pack {

namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr std::uint64_t kKeepBlobBytesMax = 1U << 20U;  // blobs up to this are checked in memory

std::string limit_text(const char* what, std::uint64_t value, std::uint64_t limit) {
  return std::string(what) + " " + std::to_string(value) + " over " + std::to_string(limit);
}

}  // namespace

PackReceiver::PackReceiver(ObjectReader& reader, store::SetPtr visible, const Limits& limits,
                           const std::filesystem::path& scratch, format::CheckPolicy policy, sys::WorkerPool& workers)
    : reader_(reader), visible_(std::move(visible)), limits_(limits), algorithm_(reader.algorithm()),
      spool_(scratch, limits.spool_memory_bytes), checker_(algorithm_, std::move(policy)),
      checksum_(algorithm_), workers_(workers), entry_reader_(entries_, spool_, reader, limits_, limits.ingest_memory_bytes / 4) {}

Result<std::size_t> PackReceiver::feed(Bytes input) {
  std::size_t used = 0;
  while (used < input.size() && state_ != State::kDone) {
    const Bytes rest = input.substr(used);
    std::size_t step = 0;
    switch (state_) {
      case State::kPackHeader: {
        VEXOR_TRY(step, take_fixed(rest, 12));
        if (pending_.size() == 12) {
          VEXOR_TRY(begin_pack());
        }
        break;
      }
      case State::kEntryHeader: {
        VEXOR_TRY(step, begin_entry(rest));
        break;
      }
      case State::kPayload: {
        VEXOR_TRY(step, take_payload(rest));
        break;
      }
      case State::kTrailer: {
        VEXOR_TRY(step, take_fixed(rest, hash_bytes(algorithm_)));
        if (pending_.size() == hash_bytes(algorithm_)) {
          VEXOR_TRY(end_pack());
        }
        break;
      }
      case State::kDone: break;
    }
    used += step;
    pack_bytes_ += step;
    if (pack_bytes_ > limits_.pack_bytes_max) {
      return Error(Errc::kLimitExceeded, limit_text("pack bytes", pack_bytes_, limits_.pack_bytes_max));
    }
  }
  return used;
}

Result<std::size_t> PackReceiver::take_fixed(Bytes input, std::size_t want) {
  const std::size_t step = std::min(want - pending_.size(), input.size());
  pending_.append(input.substr(0, step));
  return step;
}

Result<void> PackReceiver::begin_pack() {
  VEXOR_TRY(const auto header, format::decode_pack_header(pending_));
  checksum_.update(pending_);
  pending_.clear();
  object_count_ = header.object_count;
  if (object_count_ > limits_.objects_per_push_max) {
    return Error(Errc::kLimitExceeded, limit_text("objects of a push", object_count_, limits_.objects_per_push_max));
  }
  state_ = object_count_ == 0 ? State::kTrailer : State::kEntryHeader;
  return success();
}

Result<std::size_t> PackReceiver::begin_entry(Bytes input) {
  // A header is at most 10 size bytes and 32 of a base id; collect it byte-wise across inputs.
  constexpr std::size_t kHeaderBytesMax = 48;
  const std::size_t before = pending_.size();
  pending_.append(input.substr(0, kHeaderBytesMax - std::min(before, kHeaderBytesMax)));
  VEXOR_TRY(const auto header, format::decode_pack_entry_header(pending_, algorithm_));
  if (!header) return pending_.size() - before;
  const std::size_t consumed = header->header_bytes - before;
  checksum_.update(Bytes(pending_).substr(0, header->header_bytes));
  pending_.clear();

  PushEntry entry;
  entry.spool_offset = spool_.size();
  entry.entry_bytes = header->inflated_bytes;
  const auto index = static_cast<std::uint32_t>(entries_.size());
  const std::uint64_t start = pack_bytes_ - before;
  using Kind = format::PackEntryKind;
  const bool is_delta = header->kind == Kind::kOfsDelta || header->kind == Kind::kRefDelta;
  std::uint64_t size_max = limits_.structured_object_bytes_max;
  if (is_delta) {
    entry.is_delta = true;
    size_max = limits_.delta_object_bytes_max;
    ++delta_count_;
    if (header->kind == Kind::kRefDelta) {
      children_.add(header->base_id, index);
    } else {
      const std::uint64_t base = header->base_distance <= start ? start - header->base_distance : 0;
      const auto found = std::lower_bound(pack_offsets_.begin(), pack_offsets_.end(), base);
      if (found == pack_offsets_.end() || *found != base) {
        return Error(Errc::kProtocol, "pack: a delta's base offset is not the start of an entry");
      }
      entry.base_entry = static_cast<std::uint32_t>(found - pack_offsets_.begin());
      children_.add(entry.base_entry, index);
    }
  } else {
    entry.type = static_cast<ObjectType>(header->kind);
    entry.object_bytes = entry.entry_bytes;
    if (entry.type == ObjectType::kBlob) size_max = limits_.object_bytes_max;
    keep_content_ = entry.type != ObjectType::kBlob || entry.entry_bytes <= kKeepBlobBytesMax;
    content_.clear();
    hasher_.reset();
    if (entry.entry_bytes <= size_max && !keep_content_) {
      VEXOR_TRY(hasher_, ObjectHasher::begin(algorithm_, entry.type, entry.entry_bytes));
    }
  }
  if (entry.entry_bytes > size_max) {
    return Error(Errc::kLimitExceeded, limit_text("object bytes", entry.entry_bytes, size_max));
  }
  pack_offsets_.push_back(start);
  entries_.push_back(std::move(entry));
  produced_ = 0;
  is_fresh_ = true;
  state_ = State::kPayload;
  return consumed;
}

// The common case: all of a small entry is in the buffer. 0: it is not.
Result<std::size_t> PackReceiver::take_whole_payload(Bytes input) {
  PushEntry& entry = entries_.back();
  if (entry.entry_bytes > kKeepBlobBytesMax || entry.entry_bytes / 8 > input.size()) return 0U;
  std::string& room = entry.is_delta ? delta_room_ : content_;
  room.resize(static_cast<std::size_t>(entry.entry_bytes));
  const auto used = compress::inflate_front(input, std::span<char>(room));
  if (!used) {
    room.clear();
    return 0U;
  }
  produced_ = entry.entry_bytes;
  inflated_total_ += produced_;
  if (inflated_total_ > limits_.resolve_bytes_max) return Error(Errc::kLimitExceeded, "inflated bytes of a push");
  VEXOR_TRY(take_raw(input.substr(0, *used)));
  VEXOR_TRY(end_entry());
  return *used;
}

Result<std::size_t> PackReceiver::take_payload(Bytes input) {
  if (is_fresh_) {
    is_fresh_ = false;
    VEXOR_TRY(const std::size_t whole, take_whole_payload(input));
    if (whole > 0) return whole;
    inflater_.reset();
  }
  PushEntry& entry = entries_.back();
  char room[kPieceBytes];
  std::size_t used = 0;
  while (true) {
    VEXOR_TRY(const auto step, inflater_.step(input.substr(used), std::span<char>(room)));
    used += step.consumed;
    produced_ += step.produced;
    inflated_total_ += step.produced;
    if (produced_ > entry.entry_bytes) return Error(Errc::kProtocol, "pack: an object inflates to more than its size");
    if (inflated_total_ > limits_.resolve_bytes_max) return Error(Errc::kLimitExceeded, "inflated bytes of a push");
    const Bytes piece(room, step.produced);
    if (!entry.is_delta) {
      if (keep_content_) {
        content_.append(piece);
      } else {
        VEXOR_TRY(hasher_->update(piece));
      }
    }
    const bool done = step.state == compress::Inflater::State::kDone;
    if (done || (used == input.size() && step.produced < kPieceBytes)) {
      VEXOR_TRY(take_raw(input.substr(0, used)));
      if (done) {
        VEXOR_TRY(end_entry());
      }
      return used;
    }
    if (step.consumed == 0 && step.produced == 0) return Error(Errc::kProtocol, "pack: a stream that does not go on");
  }
}

// Of the entry's stream, as it came.
Result<void> PackReceiver::take_raw(Bytes raw) {
  PushEntry& entry = entries_.back();
  entry.payload_bytes += raw.size();
  const std::uint64_t bytes_max = compress::stream_bytes_max(entry.entry_bytes);
  if (entry.payload_bytes > bytes_max) return Error(Errc::kLimitExceeded, limit_text("deflated bytes of an object", entry.payload_bytes, bytes_max));
  checksum_.update(raw);
  return spool_.append(raw);
}

Result<void> PackReceiver::end_entry() {
  PushEntry& entry = entries_.back();
  if (produced_ != entry.entry_bytes) return Error(Errc::kProtocol, "pack: an object is shorter than its size");
  if (!entry.is_delta) {
    if (keep_content_) {
      VEXOR_TRY(entry.id, hash_object(algorithm_, entry.type, content_));
      VEXOR_TRY(check_object(entry.type, content_, entry.id));
    } else {
      VEXOR_TRY(entry.id, hasher_->finish());
    }
    entry.resolved = true;
  }
  state_ = entries_.size() == object_count_ ? State::kTrailer : State::kEntryHeader;
  return success();
}

Result<void> PackReceiver::end_pack() {
  if (!constant_time_equal(checksum_.finish(), pending_)) {
    return Error(Errc::kProtocol, "pack: the checksum at the end does not match");
  }
  pending_.clear();
  state_ = State::kDone;
  return success();
}

Result<void> PackReceiver::check_object(ObjectType type, Bytes content, const ObjectId& id) {
  if (type == ObjectType::kBlob) return success();
  std::vector<format::CheckFinding> findings;
  std::vector<ObjectId> modules;
  checker_.check(type, content, findings, modules);
  modules_.insert(modules.begin(), modules.end());
  return refuse_errors(findings, id);
}

Result<bool> PackReceiver::resolve_some() {
  VEXOR_CHECK(received());
  if (!resolver_) {
    const ResolveInput input{entries_, spool_, reader_, limits_, algorithm_, checker_, delta_count_, inflated_total_};
    resolver_ = std::make_unique<DeltaResolver>(input, children_, visible_, workers_);
  }
  VEXOR_TRY(const bool done, resolver_->resolve_some());
  if (!done) return false;
  modules_.merge(resolver_->modules());
  children_ = {};
  pack_offsets_ = {};
  VEXOR_TRY(check_modules());
  return true;
}

// Blobs come before or after the trees that name them, or were pushed long ago under another name.
Result<void> PackReceiver::check_modules() {
  if (modules_.empty()) return success();
  sort_ids();
  for (const ObjectId& id : modules_) {
    std::shared_ptr<const std::string> content;
    if (const auto mine = find(id)) {
      if (entries_[*mine].type != ObjectType::kBlob) continue;
      if (entries_[*mine].object_bytes > limits_.structured_object_bytes_max) return Error(Errc::kRefused, "object " + id.hex() + ": gitmodulesLarge");
      VEXOR_TRY(content, read(*mine));
    } else {
      VEXOR_TRY(const auto number, reader_.find(id));
      if (!number || !visible_->contains(*number)) continue;  // the connectivity check decides
      VEXOR_TRY(const StoredEntry entry, reader_.entry(*number));
      if (entry.object.type != ObjectType::kBlob || entry.object.object_bytes > limits_.structured_object_bytes_max) continue;
      VEXOR_TRY(content, reader_.read(*number));
    }
    std::vector<format::CheckFinding> findings;
    checker_.check_modules(*content, findings);
    VEXOR_TRY(refuse_errors(findings, id));
  }
  return success();
}

Result<Bytes> PackReceiver::payload(std::uint32_t entry, std::uint64_t offset, std::size_t count, std::string& room) const {
  return spool_.read(entries_[entry].spool_offset + offset, count, room);
}

namespace {
std::uint64_t leading_64_bits(const ObjectId& id) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < 8; ++i) out = out << 8U | octet(id.raw(), i);
  return out;
}
}  // namespace

// By counting: ids are spread evenly, so that few are in a slot. Whoever makes ids that are not still finds
// each one in logarithmic time.
void PackReceiver::sort_ids() {
  if (!slots_.empty()) return;
  slot_shift_ = 64U - std::clamp(static_cast<unsigned>(std::bit_width(entries_.size())), 1U, 24U);
  slots_.assign((std::size_t{1} << (64U - slot_shift_)) + 1, 0);
  for (const PushEntry& entry : entries_) ++slots_[(leading_64_bits(entry.id) >> slot_shift_) + 1];
  for (std::size_t i = 1; i < slots_.size(); ++i) slots_[i] += slots_[i - 1];
  by_id_.resize(entries_.size());
  std::vector<std::uint32_t> next(slots_.begin(), slots_.end() - 1);
  for (std::uint32_t i = 0; i < entries_.size(); ++i) by_id_[next[leading_64_bits(entries_[i].id) >> slot_shift_]++] = i;
  const auto is_less = [this](std::uint32_t a, std::uint32_t b) {
    const auto order = entries_[a].id <=> entries_[b].id;
    return order != 0 ? order < 0 : a < b;
  };
  for (std::size_t slot = 0; slot + 1 < slots_.size(); ++slot) {
    if (slots_[slot + 1] - slots_[slot] > 1) std::sort(by_id_.begin() + slots_[slot], by_id_.begin() + slots_[slot + 1], is_less);
  }
  for (std::size_t i = 1; i < by_id_.size(); ++i) {
    if (entries_[by_id_[i]].id == entries_[by_id_[i - 1]].id) again_.emplace(by_id_[i], first_of_id(by_id_[i - 1]));
  }
}

std::optional<std::uint32_t> PackReceiver::find(const ObjectId& id) const {
  if (slots_.empty()) return std::nullopt;
  const std::size_t slot = leading_64_bits(id) >> slot_shift_;
  const auto end = by_id_.begin() + slots_[slot + 1];
  const auto found = std::lower_bound(by_id_.begin() + slots_[slot], end, id,
                                      [this](std::uint32_t a, const ObjectId& b) { return entries_[a].id < b; });
  if (found == end || entries_[*found].id != id) return std::nullopt;
  return *found;
}

std::uint32_t PackReceiver::first_of_id(std::uint32_t entry) const {
  const auto found = again_.find(entry);
  return found == again_.end() ? entry : found->second;
}

}  // namespace vexor::pack
