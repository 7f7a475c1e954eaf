#include "store/past_refs.h"

namespace vexor::store {

using sys::Family;

namespace {

constexpr std::size_t kTailBytes = 9;  // of a reflog key, behind the name: 00 and the sequence

// The row of the name with the greatest sequence up to `sequence`; false: there is none.
Result<bool> seek_event(sys::Cursor& cursor, const RepositorySnapshot& repository, Bytes name, std::uint64_t sequence, std::uint64_t& found) {
  const std::string key = format::reflog_key(repository.row.number, name, sequence);
  cursor.seek_for_prev(key);
  VEXOR_TRY(cursor.status());
  const std::size_t head = key.size() - (kTailBytes - 1);
  if (!cursor.valid() || cursor.key().size() != key.size() || cursor.key().substr(0, head) != Bytes(key).substr(0, head)) return false;
  ByteReader tail(cursor.key().substr(head));
  VEXOR_TRY(found, tail.u64be());
  return true;
}

}  // namespace

Result<PastRefs> read_past_refs(const RepositorySnapshot& repository, std::uint64_t sequence) {
  PastRefs out;
  const std::string prefix = format::pool_key(repository.row.number);
  const auto names = repository.snapshot->cursor(Family::kReflog);
  const auto events = repository.snapshot->cursor(Family::kReflog);
  names->seek(prefix);
  while (names->valid() && names->key().starts_with(prefix)) {
    if (names->key().size() <= prefix.size() + kTailBytes) return Error(Errc::kCorrupt, "a reflog key without a name");
    const std::string name(names->key().substr(prefix.size(), names->key().size() - prefix.size() - kTailBytes));
    std::uint64_t found = 0;
    VEXOR_TRY(const bool is_there, seek_event(*events, repository, name, sequence, found));
    if (is_there) {
      out.generation = std::max(out.generation, found);
      VEXOR_TRY(const format::ReflogRow event, format::decode_reflog_row(events->value()));
      if (!event.new_row.empty()) {
        VEXOR_TRY(format::RefRow row, format::decode_ref_row(repository.row.algorithm, event.new_row));
        row.sequence = found;
        out.rows.emplace(name, std::move(row));
      }
    }
    names->seek(prefix + name + '\1');  // behind all rows of this name: no name holds an octet so low
  }
  VEXOR_TRY(names->status());
  return out;
}

Result<std::optional<RefEvent>> last_ref_event(const RepositorySnapshot& repository, Bytes name) {
  const auto cursor = repository.snapshot->cursor(Family::kReflog);
  RefEvent out;
  VEXOR_TRY(const bool is_there, seek_event(*cursor, repository, name, UINT64_MAX, out.sequence));
  if (!is_there) return std::optional<RefEvent>();
  VEXOR_TRY(format::ReflogRow row, format::decode_reflog_row(cursor->value()));
  out.old_row = std::move(row.old_row);
  out.new_row = std::move(row.new_row);
  return std::optional<RefEvent>(std::move(out));
}

}  // namespace vexor::store
