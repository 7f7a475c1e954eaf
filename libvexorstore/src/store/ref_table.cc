#include "store/ref_table.h"

#include <algorithm>
#include <charconv>

#include "format/pkt_line.h"

namespace vexor::store {

using sys::Family;

namespace {

constexpr std::uint64_t kRecordsMax = 512;  // of the journal, read to bring a table or a set up to date
constexpr std::size_t kRecordBytesMax = 1U << 20U;  // of one record
constexpr std::size_t kBlockBytes = 16 * 1024;
constexpr std::size_t kPktLengthBytes = 4;  // of a line

// Encodes refs from the cursor's place on.
class BlockReader {
 public:
  explicit BlockReader(const RepositorySnapshot& repository)
      : repository_(repository), prefix_(format::ref_key(repository.row.number, {})), cursor_(repository.snapshot->cursor(Family::kRefs)) {}

  void seek(Bytes name) { cursor_->seek(format::ref_key(repository_.row.number, name)); }
  // Reads until a block is full, or up to `end` (exclusive; empty: to the last ref). Sets `more`.
  Result<std::shared_ptr<const RefBlock>> read(std::string first, const std::string& end, std::size_t bytes_max, bool& more) {
    auto block = std::make_shared<RefBlock>();
    block->first = std::move(first);
    if (bytes_max <= kBlockBytes) block->lines.reserve(bytes_max + kBlockBytes / 16);
    more = false;
    for (; cursor_->valid() && cursor_->key().starts_with(prefix_); cursor_->next()) {
      const Bytes name = cursor_->key().substr(prefix_.size());
      if (!end.empty() && name >= Bytes(end)) break;
      if (block->lines.size() >= bytes_max) {
        more = true;
        break;
      }
      if (name.starts_with("refs/")) ++block->stored;
      VEXOR_TRY(const format::RefRow row, format::decode_ref_row(repository_.row.algorithm, cursor_->value()));
      VEXOR_TRY(add(name, row, *block));
    }
    VEXOR_TRY(cursor_->status());
    if (!more) block->lines.shrink_to_fit();  // most repositories are one small block
    block->tips.shrink_to_fit();
    return std::shared_ptr<const RefBlock>(std::move(block));
  }
  std::string next_name() const { return std::string(cursor_->key().substr(prefix_.size())); }
  const std::string& unborn_head() const { return unborn_head_; }

 private:
  Result<void> add(Bytes name, const format::RefRow& row, RefBlock& block) {
    if (is_hidden(repository_.row, name)) return success();
    std::string& line = line_;
    line.clear();
    if (row.symref_target.empty()) {
      block.tips.push_back({static_cast<std::uint32_t>(block.lines.size() + kPktLengthBytes), row.number});
      line.append(row.id.hex()).append(" ").append(name);
      if (row.peeled) line.append(" peeled:").append(row.peeled->hex());
    } else {
      block.targets.push_back(row.symref_target);
      VEXOR_TRY(const auto target, read_ref(repository_, row.symref_target));
      const bool is_shown = target && !is_hidden(repository_.row, target->name);
      if (name == "HEAD") unborn_head_ = is_shown ? "" : row.symref_target;
      if (!is_shown) return success();
      line.append(target->row.id.hex()).append(" ").append(name).append(" symref-target:").append(row.symref_target);
      if (target->row.peeled) line.append(" peeled:").append(target->row.peeled->hex());
      block.is_plain = false;
    }
    if (row.peeled) block.is_plain = false;
    line.push_back('\n');
    format::append_pkt_line(block.lines, line);
    ++block.refs;
    return success();
  }

  const RepositorySnapshot& repository_;
  std::string prefix_;
  std::unique_ptr<sys::Cursor> cursor_;
  std::string unborn_head_;
  std::string line_;  // room that is used again
};

void append(std::shared_ptr<const RefBlock> block, RefTable& table) {
  table.refs += block->refs;
  table.stored += block->stored;
  table.bytes += block->memory_bytes();
  table.blocks.push_back(std::move(block));
}

// The first digits of an id: as many as fit.
std::uint64_t start_of(Bytes hex) {
  std::uint64_t out = 0;
  (void)std::from_chars(hex.data(), hex.data() + 16, out, 16);  // ids are longer
  return out;
}

Result<RefTablePtr> read_table(const RepositorySnapshot& repository) {
  auto table = std::make_shared<RefTable>();
  BlockReader reader(repository);
  reader.seek({});
  std::string first;
  for (bool more = true; more;) {
    VEXOR_TRY(auto block, reader.read(first, {}, kBlockBytes, more));
    append(std::move(block), *table);
    if (more) first = reader.next_name();
  }
  table->unborn_head = reader.unborn_head();
  return RefTablePtr(std::move(table));
}

// The table of a later generation: blocks that hold a changed ref, or a symref to one, are read again.
Result<RefTablePtr> patch_table(const RepositorySnapshot& repository, const RefTable& old, const std::vector<format::RefChange>& changes) {
  std::set<std::string> names;
  for (const format::RefChange& change : changes) names.insert(change.name);
  auto table = std::make_shared<RefTable>();
  table->unborn_head = old.unborn_head;
  BlockReader reader(repository);
  for (std::size_t i = 0; i < old.blocks.size(); ++i) {
    const RefBlock& block = *old.blocks[i];
    const std::string end = i + 1 < old.blocks.size() ? old.blocks[i + 1]->first : std::string();
    const auto changed = names.lower_bound(block.first);
    bool is_stale = changed != names.end() && (end.empty() || *changed < end);
    for (const std::string& target : block.targets) is_stale = is_stale || names.contains(target);
    if (!is_stale) {
      append(old.blocks[i], *table);
      continue;
    }
    std::string first = block.first;
    reader.seek(first);
    if (block.first.empty()) table->unborn_head.clear();
    for (bool more = true; more;) {
      VEXOR_TRY(auto fresh, reader.read(first, end, kBlockBytes, more));
      append(std::move(fresh), *table);
      if (more) first = reader.next_name();
    }
    if (block.first.empty()) table->unborn_head = reader.unborn_head();
  }
  return RefTablePtr(std::move(table));
}

}  // namespace

std::size_t RefBlock::memory_bytes() const { return lines.capacity() + tips.capacity() * sizeof(RefTip) + tips.size() * RefTable::kPlaceBytes + 256; }

std::optional<ObjectNumber> RefTable::find_tip(const ObjectId& id) const {
  const auto before = [](const Place& a, const Place& b) { return a.id_start < b.id_start; };
  std::call_once(sorted_, [&] {
    places_.reserve(refs);
    for (std::size_t block = 0; block < blocks.size(); ++block) {
      const auto& tips = blocks[block]->tips;
      for (std::size_t tip = 0; tip < tips.size(); ++tip) {
        places_.push_back({start_of(Bytes(blocks[block]->lines).substr(tips[tip].id_at)), static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(tip)});
      }
    }
    std::sort(places_.begin(), places_.end(), before);
  });
  const std::string hex = id.hex();
  const Place wanted{start_of(hex), 0, 0};
  for (auto at = std::lower_bound(places_.begin(), places_.end(), wanted, before); at != places_.end() && at->id_start == wanted.id_start; ++at) {
    const RefBlock& block = *blocks[at->block];
    const RefTip& tip = block.tips[at->tip];
    if (Bytes(block.lines).substr(tip.id_at, hex.size()) == hex) return tip.number;
  }
  return std::nullopt;
}

std::string visibility_key(const RepositorySnapshot& repository) {
  std::string key = format::pool_key(repository.row.number);
  for (const std::string& pattern : repository.row.hidden) put_bytes(key, pattern);
  if (!repository.past_key.empty()) {
    key.push_back('\0');  // no pattern is empty
    key += repository.past_key;
  }
  return key;
}

Result<std::optional<std::vector<format::RefChange>>> ref_changes_since(const RepositorySnapshot& repository, std::uint64_t from) {
  using Out = std::optional<std::vector<format::RefChange>>;
  const std::uint64_t to = repository.ref_generation;
  if (from == 0 || from > to || to - from > kRecordsMax) return Out();
  Out out(std::in_place);
  for (std::uint64_t sequence = from + 1; sequence <= to; ++sequence) {
    VEXOR_TRY(const auto row, repository.snapshot->get(Family::kJournal, format::journal_key(sequence)));
    if (!row) return Out();
    VEXOR_TRY(const format::RepositoryNumber owner, format::journal_record_repository(row->bytes()));
    if (owner != repository.row.number) continue;
    if (row->bytes().size() > kRecordBytesMax) return Out();
    VEXOR_TRY(format::JournalRecord record, format::decode_journal_record(row->bytes()));
    if (record.kind != format::OperationKind::kRefTransaction && !record.refs.empty()) return Out();
    std::move(record.refs.begin(), record.refs.end(), std::back_inserter(*out));
  }
  return out;
}

Result<RefTablePtr> ref_table(StoreCore& core, const RepositorySnapshot& repository) {
  const std::string key = visibility_key(repository);
  std::uint64_t generation = 0;
  RefTablePtr old = core.ref_tables.find(key, generation);
  if (old && generation == repository.ref_generation) return old;
  std::string flight = key;
  put_u64be(flight, repository.ref_generation);
  const SingleFlight::Turn turn(core.table_flights, flight);
  old = core.ref_tables.find(key, generation);
  if (old && generation == repository.ref_generation) return old;
  RefTablePtr table;
  if (old && generation < repository.ref_generation) {
    VEXOR_TRY(const auto changes, ref_changes_since(repository, generation));
    if (changes) {
      VEXOR_TRY(table, patch_table(repository, *old, *changes));
    }
  }
  if (!table) {
    VEXOR_TRY(table, read_table(repository));
  }
  core.ref_tables.insert(key, repository.ref_generation, table, table->bytes);
  return table;
}

}  // namespace vexor::store
