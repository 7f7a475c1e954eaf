#include "pack/shared_pack.h"

namespace vexor::pack {

namespace {
// Of those under way: the same pack goes out in other packets to other clients.
std::string flight_key(const std::string& pack_key, std::size_t line_bytes_max) {
  std::string key = pack_key;
  put_u32be(key, static_cast<std::uint32_t>(line_bytes_max));
  return key;
}

Result<void> write(PackWriter& writer, std::size_t line_bytes_max, std::string& out) {
  PackOutput pack_output(out, line_bytes_max);
  return writer.next(pack_output, SharedPack::kPieceBytes);
}
}  // namespace

SharedPack::SharedPack(store::StoreCore& core, const ObjectReader& like, std::shared_ptr<PackPlan> plan, std::size_t line_bytes_max)
    : core_(core), plan_(std::move(plan)), line_bytes_max_(line_bytes_max),
      reader_(like.snapshot(), like.pool(), like.algorithm(), like.limits(), like.directory()),
      writer_(core, reader_, plan_, core.trailers.find(plan_->key)) {}

SharedPack::~SharedPack() {
  retire();
  const std::lock_guard lock(mutex_);
  while (!pieces_.empty()) drop_front();
}

// Nobody joins any more: its snapshot is as old as its first reader.
void SharedPack::retire() { core_.packs.forget(flight_key(plan_->key, line_bytes_max_), this); }

void SharedPack::enter() {
  const std::lock_guard lock(mutex_);
  readers_.insert(0);
}

void SharedPack::leave(std::uint64_t at) {
  const std::lock_guard lock(mutex_);
  readers_.erase(readers_.find(at));
  drop_unwanted();
}

void SharedPack::advance(std::uint64_t from) {
  const std::lock_guard lock(mutex_);
  readers_.erase(readers_.find(from));
  readers_.insert(from + 1);
  drop_unwanted();
}

SharedPack::Look SharedPack::look(std::uint64_t at) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t made = starts_.size() - 1;
  const std::uint64_t first = made - pieces_.size();
  Look out;
  out.trailer = trailer_;
  if (at == made) out.is_next = true;
  else if (at < first) out.from = starts_[at];
  else out.piece = pieces_[at - first];
  out.is_last = !trailer_.empty() && at + 1 == made;
  return out;
}

// Makes piece `at` and appends it to `out`, unless somebody else made it meanwhile.
Result<SharedPack::Made> SharedPack::make(std::uint64_t at, std::string& out) {
  const std::lock_guard making(making_);
  bool is_wanted_by_others = false;
  {
    const std::lock_guard lock(mutex_);
    const std::uint64_t made = starts_.size() - 1;
    if (made != at) return Made::kByOthers;
    const auto in_reach = readers_.lower_bound(made - pieces_.size());
    is_wanted_by_others = made < kFirstPieces || std::next(in_reach) != readers_.end();
  }
  if (failed_) {
    retire();
    return failed_->clone();
  }
  failed_.emplace(Errc::kIo, "a pack that others send too was broken off");  // what is left if memory runs out here
  auto piece = is_wanted_by_others ? std::make_shared<std::string>() : nullptr;
  std::string& room = piece ? *piece : out;
  if (piece) piece->reserve(kPieceBytes + kPieceBytes / 4);
  if (auto written = write(writer_, line_bytes_max_, room); written.has_error()) {
    failed_ = written.error().clone();
    retire();
    return std::move(written).error();
  }
  if (writer_.done()) {
    core_.trailers.insert(plan_->key, writer_.trailer());
    retire();
  }
  if (piece) out.append(*piece);
  const std::lock_guard lock(mutex_);
  starts_.push_back(writer_.position());
  if (writer_.done()) trailer_ = writer_.trailer();
  if (piece) {
    core_.shared_pack_bytes += piece->capacity();
    pieces_.push_back(std::move(piece));
  } else {
    while (!pieces_.empty()) drop_front();  // what is kept ends with the latest
  }
  failed_.reset();
  return writer_.done() ? Made::kLast : Made::kOne;
}

// Keeps what is before the hindmost of the readers that kept pieces can serve, and the first pieces for those who come
// a little later.
void SharedPack::drop_unwanted() {
  const std::uint64_t made = starts_.size() - 1;
  while (!pieces_.empty()) {
    const std::uint64_t first = made - pieces_.size();
    const bool is_too_much = pieces_.size() > kPiecesMax || core_.shared_pack_bytes > kBytesMax;
    const auto reader = readers_.lower_bound(first);
    const bool is_wanted = made <= kFirstPieces || (reader != readers_.end() && *reader == first);
    if (is_wanted && !is_too_much) return;
    drop_front();
  }
}

void SharedPack::drop_front() {
  core_.shared_pack_bytes -= pieces_.front()->capacity();
  pieces_.pop_front();
}

Result<std::unique_ptr<PackStream>> PackStream::open(store::StoreCore& core, ObjectReader& reader, Roaring send, SetPtr have,
                                                     PackOptions options, std::size_t line_bytes_max) {
  VEXOR_TRY(std::string key, make_pack_key(*reader.snapshot(), reader.pool(), send, have, options));
  core.pool_uses.note(reader.pool(), core.clock.monotonic_time_ms());
  auto pack = core.packs.join(flight_key(key, line_bytes_max), [&] {
    auto plan = std::make_shared<PackPlan>(std::move(key), std::move(send), std::move(have), options);
    return std::make_shared<SharedPack>(core, reader, std::move(plan), line_bytes_max);
  });
  return std::unique_ptr<PackStream>(new PackStream(core, reader, std::move(pack)));
}

PackStream::PackStream(store::StoreCore& core, ObjectReader& reader, std::shared_ptr<SharedPack> pack)
    : core_(core), reader_(reader), pack_(std::move(pack)) {
  pack_->enter();
}

PackStream::~PackStream() { pack_->leave(at_); }

void PackStream::took(bool is_last) {
  pack_->advance(at_);
  ++at_;
  done_ = is_last;
}

bool PackStream::next_if_ready(std::string& out) {
  const SharedPack::Look look = pack_->look(at_);
  if (!look.piece) return false;
  straggler_.reset();
  out.append(*look.piece);
  took(look.is_last);
  return true;
}

Result<void> PackStream::next(std::string& out) {
  for (;;) {
    if (next_if_ready(out)) return success();
    const SharedPack::Look look = pack_->look(at_);
    if (look.piece) continue;
    if (!look.is_next) return make_alone(look, out);
    straggler_.reset();
    VEXOR_TRY(const SharedPack::Made made, pack_->make(at_, out));
    if (made == SharedPack::Made::kByOthers) continue;
    took(made == SharedPack::Made::kLast);
    return success();
  }
}

Result<void> PackStream::make_alone(const SharedPack::Look& look, std::string& out) {
  if (!straggler_) straggler_.emplace(core_, reader_, pack_->plan_, look.from);
  straggler_->set_trailer(look.trailer);
  VEXOR_TRY(write(*straggler_, pack_->line_bytes_max_, out));
  took(straggler_->done());
  return success();
}

}  // namespace vexor::pack
