// Snapshots for the host.
#include "vexorstore/snapshot.h"

#include <algorithm>

#include "base/hex.h"
#include "pack/past.h"

namespace vexor {

using sys::Family;

namespace {

constexpr std::size_t kPrefixDigitsMin = 4;

class StoreSnapshot final : public Snapshot {
 public:
  StoreSnapshot(store::StoreCore& core, store::RepositorySnapshot repository, RepositoryInfo info)
      : core_(core), repository_(std::move(repository)), info_(std::move(info)),
        reader_(repository_.snapshot, repository_.row.pool, repository_.row.algorithm, core.options.limits, &core.extents) {}

  const RepositoryInfo& repository() const override { return info_; }

  Result<std::vector<RefInfo>> refs(const std::string& prefix) override {
    VEXOR_TRY(const auto rows, store::read_refs(repository_, prefix));
    std::vector<RefInfo> out;
    for (const store::NamedRef& row : rows) {
      VEXOR_TRY(RefInfo info, resolve(row));
      if (!info.id.is_null()) out.push_back(std::move(info));
    }
    return out;
  }

  Result<std::optional<RefInfo>> find_ref(const std::string& name) override {
    VEXOR_TRY(const auto row, store::read_ref(repository_, name));
    if (!row) return std::optional<RefInfo>();
    VEXOR_TRY(RefInfo info, resolve(*row));
    return std::optional<RefInfo>(std::move(info));
  }

  Result<std::vector<RefLogEntry>> ref_log(const std::string& name, std::size_t max) override {
    const std::string prefix = format::ref_key(repository_.row.number, name) + std::string(1, '\0');
    const auto cursor = repository_.snapshot->cursor(Family::kReflog);
    std::vector<RefLogEntry> out;
    cursor->seek(prefix);
    for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
      RefLogEntry entry;
      ByteReader key(cursor->key().substr(prefix.size()));
      VEXOR_TRY(entry.sequence, key.u64be());
      VEXOR_TRY(format::ReflogRow row, format::decode_reflog_row(cursor->value()));
      entry.time_ms = row.time_ms;
      entry.account_name = std::move(row.actor_name);
      VEXOR_TRY(entry.old_id, id_of(row.old_row));
      VEXOR_TRY(entry.new_id, id_of(row.new_row));
      out.push_back(std::move(entry));
    }
    VEXOR_TRY(cursor->status());
    std::reverse(out.begin(), out.end());
    if (out.size() > max) out.resize(max);
    return out;
  }

  Result<std::optional<ObjectHeader>> find_object(const ObjectId& id) override {
    VEXOR_TRY(const auto number, visible_number(id));
    if (!number) return std::optional<ObjectHeader>();
    VEXOR_TRY(const pack::StoredEntry entry, reader_.entry(*number));
    return std::optional<ObjectHeader>(ObjectHeader{entry.object.type, entry.object.object_bytes});
  }

  Result<std::string> read_object(const ObjectId& id) override {
    VEXOR_TRY(const auto number, visible_number(id));
    if (!number) return Error(Errc::kNotFound, "no such object");
    VEXOR_TRY(const auto content, reader_.read(*number));
    return *content;
  }

  Result<void> stream_object(const ObjectId& id, const std::function<Result<void>(Bytes)>& sink) override {
    VEXOR_TRY(const auto number, visible_number(id));
    if (!number) return Error(Errc::kNotFound, "no such object");
    return reader_.stream(*number, sink);
  }

  Result<std::vector<ObjectId>> find_prefix(const std::string& hex, std::size_t max) override {
    if (hex.size() < kPrefixDigitsMin || hex.size() > hash_hex_chars(repository_.row.algorithm)) {
      return Error(Errc::kInvalidArgument, "an abbreviated object id has at least 4 digits");
    }
    const auto start = from_hex(hex.size() % 2 == 0 ? hex : hex + "0");
    if (!start) return Error(Errc::kInvalidArgument, "not a hexadecimal number");
    std::string lower = hex;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
    VEXOR_TRY(const pack::SetPtr visible, visible_set());
    const std::string pool = format::pool_key(repository_.row.pool);
    const auto cursor = repository_.snapshot->cursor(Family::kIndex);
    std::vector<ObjectId> out;
    for (cursor->seek(pool + *start); out.size() < max && cursor->valid() && cursor->key().starts_with(pool); cursor->next()) {
      const ObjectId id = ObjectId::from_raw(repository_.row.algorithm, cursor->key().substr(pool.size()));
      if (!id.hex().starts_with(lower)) break;
      VEXOR_TRY(const pack::ObjectNumber number, format::decode_index_row(cursor->value()));
      if (visible->contains(number)) out.push_back(id);
    }
    VEXOR_TRY(cursor->status());
    return out;
  }

  Result<void> each_object(const std::function<Result<void>(const ObjectId&, const ObjectHeader&)>& sink) override {
    VEXOR_TRY(const pack::SetPtr visible, visible_set());
    for (const pack::ObjectNumber number : *visible) {
      VEXOR_TRY(const pack::StoredEntry entry, reader_.entry(number));
      VEXOR_TRY(sink(entry.object.id, ObjectHeader{entry.object.type, entry.object.object_bytes}));
    }
    return success();
  }

 private:
  Result<RefInfo> resolve(const store::NamedRef& row) const {
    RefInfo info{row.name, row.row.id, row.row.symref_target, row.row.peeled};
    if (!info.symref_target.empty()) {
      info.id = ObjectId::null(repository_.row.algorithm);
      VEXOR_TRY(const auto target, store::read_ref(repository_, info.symref_target));
      if (target) {
        info.id = target->row.id;
        info.peeled = target->row.peeled;
      }
    }
    return info;
  }
  Result<ObjectId> id_of(Bytes row) const {
    if (row.empty()) return ObjectId::null(repository_.row.algorithm);
    VEXOR_TRY(const format::RefRow decoded, format::decode_ref_row(repository_.row.algorithm, row));
    return decoded.id;
  }
  Result<pack::SetPtr> visible_set() {
    if (!visible_) {
      VEXOR_TRY(visible_, pack::visible_set(core_, repository_, reader_));
    }
    return visible_;
  }
  Result<std::optional<pack::ObjectNumber>> visible_number(const ObjectId& id) {
    if (id.algorithm() != repository_.row.algorithm) return Error(Errc::kInvalidArgument, "object id of another object format");
    VEXOR_TRY(const auto number, reader_.find(id));
    if (!number) return std::optional<pack::ObjectNumber>();
    VEXOR_TRY(const pack::SetPtr visible, visible_set());
    if (!visible->contains(*number)) return std::optional<pack::ObjectNumber>();
    return number;
  }

  store::StoreCore& core_;
  store::RepositorySnapshot repository_;
  RepositoryInfo info_;
  pack::ObjectReader reader_;
  pack::SetPtr visible_;
};

}  // namespace

Result<std::unique_ptr<Snapshot>> open_snapshot(Store& store, RepositoryId repository) {
  VEXOR_TRY(auto now, store::open_repository_snapshot(store.core(), repository));
  if (now.row.deleted_at_ms != 0) return Error(Errc::kNotFound, "no such repository");
  RepositoryInfo info = store::to_info(*now.snapshot, now.row);
  return std::unique_ptr<Snapshot>(std::make_unique<StoreSnapshot>(store.core(), std::move(now), std::move(info)));
}

Result<std::unique_ptr<Snapshot>> open_snapshot_at(Store& store, RepositoryId repository, JournalSequence sequence) {
  VEXOR_TRY(auto then, pack::open_past_snapshot(store.core(), repository, sequence));
  if (then.row.deleted_at_ms != 0) return Error(Errc::kNotFound, "no such repository");
  RepositoryInfo info = store::to_info(*then.snapshot, then.row);
  return std::unique_ptr<Snapshot>(std::make_unique<StoreSnapshot>(store.core(), std::move(then), std::move(info)));
}

}  // namespace vexor
