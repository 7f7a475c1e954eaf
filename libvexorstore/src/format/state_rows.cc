#include "format/state_rows.h"

namespace vexor::format {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kVersionWithCopies = 2;  // of a repository row

Result<void> check_version(ByteReader& reader, const char* what) {
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kVersion) return Error(Errc::kCorrupt, std::string(what) + ": unknown version");
  return success();
}

Result<std::string> read_text(ByteReader& reader) {
  VEXOR_TRY(const Bytes text, reader.bytes());
  return std::string(text);
}

void put_list(std::string& out, const std::vector<std::string>& list) {
  put_varint(out, list.size());
  for (const std::string& item : list) put_bytes(out, item);
}

Result<std::vector<std::string>> read_list(ByteReader& reader) {
  VEXOR_TRY(const std::uint64_t count, reader.varint());
  if (count > kRowListMax) return Error(Errc::kCorrupt, "row: list too long");
  std::vector<std::string> out;
  for (std::uint64_t i = 0; i < count; ++i) {
    VEXOR_TRY(std::string item, read_text(reader));
    out.push_back(std::move(item));
  }
  return out;
}

}  // namespace

std::string encode_ref_row(const RefRow& row) {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, row.sequence);
  put_u8(out, !row.symref_target.empty() ? 1 : row.peeled ? 2 : 0);
  if (!row.symref_target.empty()) {
    put_bytes(out, row.symref_target);
    return out;
  }
  out.append(row.id.raw());
  put_u32be(out, row.number);
  if (row.peeled) {
    out.append(row.peeled->raw());
    put_u32be(out, row.peeled_number);
  }
  return out;
}

Result<RefRow> decode_ref_row(HashAlgorithm algorithm, Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(check_version(reader, "ref row"));
  RefRow row;
  VEXOR_TRY(row.sequence, reader.varint());
  VEXOR_TRY(const std::uint8_t kind, reader.u8());
  if (kind > 2) return Error(Errc::kCorrupt, "ref row: unknown kind");
  if (kind == 1) {
    VEXOR_TRY(row.symref_target, read_text(reader));
    if (row.symref_target.empty()) return Error(Errc::kCorrupt, "ref row: an empty symref target");
    VEXOR_TRY(reader.end());
    return row;
  }
  VEXOR_TRY(const Bytes raw, reader.take(hash_bytes(algorithm)));
  row.id = ObjectId::from_raw(algorithm, raw);
  VEXOR_TRY(row.number, reader.u32be());
  if (kind == 2) {
    VEXOR_TRY(const Bytes peeled, reader.take(hash_bytes(algorithm)));
    row.peeled = ObjectId::from_raw(algorithm, peeled);
    VEXOR_TRY(row.peeled_number, reader.u32be());
  }
  VEXOR_TRY(reader.end());
  return row;
}

std::string encode_reflog_row(const ReflogRow& row) {
  std::string out;
  put_u8(out, kVersion);
  put_u64be(out, static_cast<std::uint64_t>(row.time_ms));
  put_bytes(out, row.actor_name);
  put_bytes(out, row.old_row);
  put_bytes(out, row.new_row);
  return out;
}

Result<ReflogRow> decode_reflog_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(check_version(reader, "reflog row"));
  ReflogRow row;
  VEXOR_TRY(const std::uint64_t time, reader.u64be());
  row.time_ms = static_cast<std::int64_t>(time);
  VEXOR_TRY(row.actor_name, read_text(reader));
  VEXOR_TRY(row.old_row, read_text(reader));
  VEXOR_TRY(row.new_row, read_text(reader));
  VEXOR_TRY(reader.end());
  return row;
}

// A row without a policy of its own stays as it ever was: preconditions compare octets.
std::string encode_repository_row(const RepositoryRow& row) {
  const bool has_copies = row.copies != CopyPolicy::kCluster;
  std::string out;
  put_u8(out, has_copies ? kVersionWithCopies : kVersion);
  put_u64be(out, row.number);
  put_u64be(out, row.pool);
  put_u8(out, static_cast<std::uint8_t>(row.algorithm));
  put_bytes(out, row.name);
  put_bytes(out, row.description);
  put_u8(out, row.is_public ? 1 : 0);
  put_u64be(out, static_cast<std::uint64_t>(row.deleted_at_ms));
  put_bytes(out, row.deleted_name);
  put_u64be(out, row.fork_of);
  put_varint(out, row.protect.size());
  for (const ProtectRule& rule : row.protect) {
    put_bytes(out, rule.pattern);
    put_u8(out, static_cast<std::uint8_t>((rule.no_force ? 1U : 0U) | (rule.no_delete ? 2U : 0U)));
    put_list(out, rule.only_users);
  }
  put_list(out, row.hidden);
  put_bytes(out, row.check_policy);
  put_varint(out, row.pack_bytes_max);
  put_varint(out, row.object_bytes_max);
  put_list(out, row.bundles);
  put_varint(out, row.refs_max);
  if (has_copies) put_u8(out, static_cast<std::uint8_t>(row.copies));
  return out;
}

Result<RepositoryRow> decode_repository_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kVersion && version != kVersionWithCopies) return Error(Errc::kCorrupt, "repository row: unknown version");
  RepositoryRow row;
  VEXOR_TRY(row.number, reader.u64be());
  VEXOR_TRY(row.pool, reader.u64be());
  VEXOR_TRY(const std::uint8_t algorithm, reader.u8());
  if (algorithm != 1 && algorithm != 2) return Error(Errc::kCorrupt, "repository row: algorithm");
  row.algorithm = static_cast<HashAlgorithm>(algorithm);
  VEXOR_TRY(row.name, read_text(reader));
  VEXOR_TRY(row.description, read_text(reader));
  VEXOR_TRY(row.is_public, reader.flag());
  VEXOR_TRY(const std::uint64_t deleted, reader.u64be());
  row.deleted_at_ms = static_cast<std::int64_t>(deleted);
  VEXOR_TRY(row.deleted_name, read_text(reader));
  VEXOR_TRY(row.fork_of, reader.u64be());
  VEXOR_TRY(const std::uint64_t rules, reader.varint());
  if (rules > kRowListMax) return Error(Errc::kCorrupt, "repository row: too many rules");
  for (std::uint64_t i = 0; i < rules; ++i) {
    ProtectRule rule;
    VEXOR_TRY(rule.pattern, read_text(reader));
    VEXOR_TRY(const std::uint8_t flags, reader.u8());
    if (flags > 3) return Error(Errc::kCorrupt, "repository row: rule flags");
    rule.no_force = (flags & 1U) != 0;
    rule.no_delete = (flags & 2U) != 0;
    VEXOR_TRY(rule.only_users, read_list(reader));
    row.protect.push_back(std::move(rule));
  }
  VEXOR_TRY(row.hidden, read_list(reader));
  VEXOR_TRY(row.check_policy, read_text(reader));
  VEXOR_TRY(row.pack_bytes_max, reader.varint());
  VEXOR_TRY(row.object_bytes_max, reader.varint());
  VEXOR_TRY(row.bundles, read_list(reader));
  VEXOR_TRY(const std::uint64_t refs_max, reader.varint());
  if (refs_max > 0xFFFFFFFFU) return Error(Errc::kCorrupt, "repository row: refs_max");
  row.refs_max = static_cast<std::uint32_t>(refs_max);
  if (version == kVersionWithCopies) {
    VEXOR_TRY(const std::uint8_t copies, reader.u8());
    if (copies == 0 || copies > static_cast<std::uint8_t>(CopyPolicy::kLocal)) return Error(Errc::kCorrupt, "repository row: copies");
    row.copies = static_cast<CopyPolicy>(copies);
  }
  VEXOR_TRY(reader.end());
  return row;
}

}  // namespace vexor::format
