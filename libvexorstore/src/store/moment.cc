// Moments: from what a person writes to a journal sequence.
#include <charconv>
#include <chrono>

#include "store/store_core.h"
#include "vexorstore/history.h"

namespace vexor {

using sys::Family;

namespace {

constexpr std::uint64_t kSecondsMin = 100'000'000;  // smaller numbers are sequences, as git takes them for no time
constexpr std::uint64_t kSecondsMax = 253'402'300'799;  // the end of the year 9999
constexpr std::size_t kTextCharsMax = 64;

Error no_moment() {
  return Error(Errc::kInvalidArgument, "a moment is a time such as 2026-11-27T00:25:00Z, seconds since 1970, or a journal sequence (seq:N)");
}

// Digits only; nullopt for anything else.
std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  const auto done = std::from_chars(text.data(), text.data() + text.size(), value);
  if (done.ec != std::errc() || done.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

// Takes fixed digits and the mark behind them off the text.
class TimeText {
 public:
  explicit TimeText(std::string_view text) : rest_(text) {}
  int digits(std::size_t count) {
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (rest_.empty() || rest_.front() < '0' || rest_.front() > '9') {
        failed_ = true;
        return 0;
      }
      value = value * 10 + (rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    return value;
  }
  char mark(std::string_view allowed) {
    if (rest_.empty() || allowed.find(rest_.front()) == std::string_view::npos) {
      failed_ = true;
      return 0;
    }
    const char out = rest_.front();
    rest_.remove_prefix(1);
    return out;
  }
  bool next_is(char c) const { return !rest_.empty() && rest_.front() == c; }
  bool next_is_digit() const { return !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; }
  bool ended_well() const { return !failed_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

// Milliseconds since 1970. Spec: RFC 3339, section 5.6; a blank in the place of T, and a leap second as the next one.
std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  TimeText in(text);
  const std::chrono::year year(in.digits(4));
  in.mark("-");
  const std::chrono::month month(static_cast<unsigned>(in.digits(2)));
  in.mark("-");
  const std::chrono::day day(static_cast<unsigned>(in.digits(2)));
  in.mark("Tt ");
  const int hours = in.digits(2);
  in.mark(":");
  const int minutes = in.digits(2);
  in.mark(":");
  const int seconds = in.digits(2);
  std::int64_t milliseconds = 0;
  if (in.next_is('.')) {
    in.mark(".");
    std::int64_t unit = 100;
    milliseconds = unit * in.digits(1);
    while (in.next_is_digit()) milliseconds += (unit /= 10) * in.digits(1);
  }
  std::int64_t offset = 0;
  const char zone = in.mark("Zz+-");
  if (zone == '+' || zone == '-') {
    const int zone_hours = in.digits(2);
    in.mark(":");
    const int zone_minutes = in.digits(2);
    if (zone_hours > 23 || zone_minutes > 59) return std::nullopt;
    offset = (zone == '+' ? 1 : -1) * (zone_hours * 60 + zone_minutes);
  }
  const std::chrono::year_month_day date(year, month, day);
  if (!in.ended_well() || !date.ok() || hours > 23 || minutes > 59 || seconds > 60) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((((days * 24 + hours) * 60 + minutes) - offset) * 60 + seconds) * 1000 + milliseconds;
}

Result<std::int64_t> time_of(const sys::StorageSnapshot& snapshot, std::uint64_t sequence) {
  VEXOR_TRY(const auto row, snapshot.get(Family::kJournal, format::journal_key(sequence)));
  if (!row) return Error(Errc::kCorrupt, "journal record " + std::to_string(sequence) + " is missing");
  return format::journal_record_time(row->bytes());
}

// Records `low` is not younger than the time, `high` is; until they are neighbours.
Result<Moment> search(const sys::StorageSnapshot& snapshot, std::uint64_t last, std::int64_t time_ms) {
  std::uint64_t low = 0;
  std::uint64_t high = last + 1;
  std::int64_t low_ms = 0;
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    VEXOR_TRY(const std::int64_t at, time_of(snapshot, middle));
    if (at <= time_ms) {
      low = middle;
      low_ms = at;
    } else {
      high = middle;
    }
  }
  if (low == 0) return Error(Errc::kNotFound, "that is before the first journal record");
  return Moment{low, low_ms};
}

}  // namespace

Result<Moment> find_moment(Store& store, std::string_view text) {
  if (text.size() > kTextCharsMax) return no_moment();
  const std::uint64_t last = store.last_sequence();
  VEXOR_TRY(const auto snapshot, store.core().backend->snapshot());
  const bool is_named = text.starts_with("seq:");
  const auto number = number_of(is_named ? text.substr(4) : text);
  if (is_named && !number) return no_moment();
  if (number && (is_named || *number < kSecondsMin)) {
    if (*number > last) return Error(Errc::kInvalidArgument, "the journal has " + std::to_string(last) + " records and no sequence " + std::to_string(*number));
    if (*number == 0) return Error(Errc::kNotFound, "that is before the first journal record");
    VEXOR_TRY(const std::int64_t time_ms, time_of(*snapshot, *number));
    return Moment{*number, time_ms};
  }
  if (number && *number <= kSecondsMax) return search(*snapshot, last, static_cast<std::int64_t>(*number) * 1000 + 999);
  const auto time_ms = parse_rfc3339(text);
  if (!time_ms) return no_moment();
  return search(*snapshot, last, *time_ms + (text.find('.') == std::string_view::npos ? 999 : 0));
}

}  // namespace vexor
