#include "replication/host/store_log.h"

#include <charconv>
#include <chrono>

#include "replication/host/entry_codec.h"

namespace vexor::replication {

namespace {

constexpr std::size_t kRecentEntriesMax = 4096;
constexpr std::size_t kRecentBytesMax = 64U << 20U;
constexpr std::chrono::milliseconds kReadMax{50};   // on the node's thread, which has heartbeats to send
constexpr std::chrono::milliseconds kReadRest{10};  // after a read that took so long: the node asks for more until it gets nothing

}  // namespace

std::string encode_promise(Epoch epoch) { return "promised " + std::to_string(epoch); }

Result<Epoch> decode_promise(const std::string& state) {
  constexpr std::string_view kPrefix = "promised ";
  if (state.empty()) return Epoch{0};
  Epoch out = 0;
  const bool begins = state.starts_with(kPrefix);
  const char* const end = state.data() + state.size();
  const auto [at, failed] = std::from_chars(begins ? state.data() + kPrefix.size() : end, end, out);
  if (!begins || failed != std::errc() || at != end) return Error(Errc::kCorrupt, "the state of replication");
  return out;
}

StoreLog::StoreLog(ReplicaLog& store, LogSink& sink, StoreMark* mark, Events events) : store_(store), sink_(sink), mark_(mark), events_(std::move(events)) {}

Result<void> StoreLog::open() {
  VEXOR_TRY(const std::string state, store_.load_state());
  VEXOR_TRY(promised_, decode_promise(state));
  last_ = to_entry_id(store_.last());
  stored_ = last_.sequence;
  wanted_ = marked_ = Mark{last_, promised_};
  if (mark_ == nullptr) return success();
  VEXOR_TRY(mark_->write(marked_));
  return mark_->sync();
}

std::optional<EntryId> StoreLog::id_at(Sequence sequence) const {
  if (sequence == 0) return EntryId{};
  if (sequence > last_.sequence) return std::nullopt;
  if (!recent_.empty() && sequence >= recent_.front().id.sequence) return recent_[sequence - recent_.front().id.sequence].id;
  const auto position = store_.position(sequence);
  if (position.has_error()) return std::nullopt;
  return to_entry_id(position.value());
}

Result<Entry> StoreLog::read_stored(Sequence sequence) const {
  VEXOR_TRY(const LogEntry entry, store_.read(sequence));
  return unpack_entry(std::make_shared<const std::string>(pack_entry_bytes(entry)));
}

std::vector<Entry> StoreLog::read(Sequence first, std::size_t entries_max, std::size_t bytes_max) const {
  std::vector<Entry> out;
  std::size_t bytes = 0;
  gone_.reset();
  const auto began = std::chrono::steady_clock::now();
  for (Sequence sequence = first; sequence <= last_.sequence && out.size() < entries_max; ++sequence) {
    const Entry* recent = !recent_.empty() && sequence >= recent_.front().id.sequence ? &recent_[sequence - recent_.front().id.sequence] : nullptr;
    // Rows that are apart may have been purged since; then nobody can have them, and the record is another form by now.
    const bool may_be_purged = recent != nullptr && has_rows_apart(*recent) && sequence <= stored();
    if (recent != nullptr && !may_be_purged) {
      out.push_back(*recent);
    } else {
      const auto now = std::chrono::steady_clock::now();
      if (now < rests_until_ || (!out.empty() && now - began >= kReadMax)) break;  // the rest comes with a later message
      auto entry = read_stored(sequence);
      if (entry.has_error()) {  // kNotFound: swept or purged since; whoever needs it starts from a copy of the store
        if (entry.error().code() == Errc::kNotFound) gone_ = sequence;
        break;
      }
      // Rows that came ahead are not to come again beside their record, though they may have become few enough.
      const bool is_as_it_was = recent != nullptr && same_record(*recent, entry.value());
      out.push_back(is_as_it_was ? *recent : std::move(entry).value());
    }
    bytes += out.back().bytes->size();
    if (bytes > bytes_max && out.size() > 1) {
      out.pop_back();
      break;
    }
  }
  if (const auto now = std::chrono::steady_clock::now(); now - began >= kReadMax) rests_until_ = now + kReadRest;
  return out;
}

void StoreLog::remember(const Entry& entry) {
  recent_.push_back(entry);
  recent_bytes_ += entry.bytes->size();
  while (recent_.size() > kRecentEntriesMax || (recent_bytes_ > kRecentBytesMax && recent_.size() > 1)) {
    if (recent_.front().id.sequence > stored()) break;  // nowhere else yet
    recent_bytes_ -= recent_.front().bytes->size();
    recent_.pop_front();
  }
}

void StoreLog::write(LogTicket ticket, std::function<Result<void>()> work) {
  writer_.post([this, ticket, work = std::move(work)] {
    if (has_failed_) return;
    if (auto done = work(); done.has_error()) {
      has_failed_ = true;
      events_.failed(done.error());
      return;
    }
    written_ = ticket;
    if (std::exchange(tells_, true)) return;
    writer_.post([this] { tell(); });
  });
}

// S8: the mark goes before what it vouches for is told.
void StoreLog::tell() {
  tells_ = false;
  if (has_failed_) return;
  if (mark_ != nullptr && wanted_ != marked_) {
    if (auto done = mark_->write(wanted_); done.has_error()) {
      has_failed_ = true;
      events_.failed(done.error());
      return;
    }
    marked_ = wanted_;
  }
  events_.durable(written_);
}

// Before the log is cut: a mark above its end would say that it lost something.
Result<void> StoreLog::lower_mark(const EntryId& last) {
  if (wanted_.last.sequence > last.sequence) wanted_.last = last;
  if (mark_ == nullptr || marked_.last.sequence <= last.sequence) return success();
  VEXOR_TRY(mark_->write(wanted_));
  marked_ = wanted_;
  return mark_->sync();
}

Sequence StoreLog::stored() const {
  const std::lock_guard lock(stored_mutex_);
  return stored_;
}

// `cuts`: when it was told to be written; what was cut off since does not count.
void StoreLog::raise_stored(Sequence sequence, std::uint64_t cuts) {
  const std::lock_guard lock(stored_mutex_);
  if (cuts == cuts_) stored_ = std::max(stored_, sequence);
}

LogTicket StoreLog::append(std::span<const Entry> entries) {
  if (is_local_) raise_stored(entries.back().id.sequence, cuts_);
  for (const Entry& entry : entries) remember(entry);
  last_ = entries.back().id;
  std::vector<Entry> kept(entries.begin(), entries.end());
  write(++ticket_, [this, is_local = is_local_, cuts = cuts_, kept = std::move(kept)]() -> Result<void> {
    if (is_local) {
      wanted_.last = kept.back().id;
      return success();
    }
    std::vector<LogEntry> out;
    for (const Entry& entry : kept) {
      VEXOR_TRY(LogEntry decoded, to_log_entry(entry));
      out.push_back(std::move(decoded));
    }
    VEXOR_TRY(store_.append(out));
    raise_stored(kept.back().id.sequence, cuts);
    wanted_.last = kept.back().id;
    return success();
  });
  return ticket_;
}

LogTicket StoreLog::cut(Sequence last) {
  const auto end = id_at(last);
  if (!end) events_.failed(Error(Errc::kCorrupt, "the row of the log that it is to end with"));
  last_ = end.value_or(EntryId{last, {}});
  {
    const std::lock_guard lock(stored_mutex_);
    ++cuts_;
    stored_ = std::min(stored_, last);
  }
  while (!recent_.empty() && recent_.back().id.sequence > last) {
    recent_bytes_ -= recent_.back().bytes->size();
    recent_.pop_back();
  }
  write(++ticket_, [this, last = last_]() -> Result<void> {
    VEXOR_TRY(lower_mark(last));
    return store_.cut(last.sequence);
  });
  return ticket_;
}

// Who promises an epoch follows another primary from then on, or will be it.
LogTicket StoreLog::promise(Epoch epoch) {
  promised_ = epoch;
  write(++ticket_, [this, epoch, last = last_.sequence]() -> Result<void> {
    tell_before_waiting();
    VEXOR_TRY(follow_and_cut(last));
    VEXOR_TRY(store_.save_state(encode_promise(epoch)));
    wanted_.promise = epoch;
    return success();
  });
  return ticket_;
}

Result<void> StoreLog::follow_and_cut(Sequence last) {
  VEXOR_TRY(store_.follow(ReplicaLog::Waiting::kGoesOn));
  if (store_.last().sequence > last) return store_.cut(last);  // given to nobody
  return success();
}

void StoreLog::begin_leading(Epoch epoch, std::uint64_t turn, std::function<void()> done) {
  write(ticket_, [this, epoch, turn, done = std::move(done)]() -> Result<void> {
    VEXOR_TRY(store_.lead(epoch, sink_, turn));
    done();
    return success();
  });
}

// To follow may wait for who asks what is committed (Q4), which needs what was written before.
void StoreLog::tell_before_waiting() {
  if (tells_) tell();
}

void StoreLog::end_leading() {
  write(ticket_, [this, last = last_.sequence] {
    tell_before_waiting();
    return follow_and_cut(last);
  });
  writer_.post([this] {
    if (has_failed_) (void)store_.follow();  // whoever waits is told
  });
}

void StoreLog::take_back(std::uint64_t turn) {
  write(ticket_, [this, last = last_.sequence, turn] { return store_.take_back(last, turn); });
}

}  // namespace vexor::replication
