#include "replication/host/entry_codec.h"

#include <algorithm>

namespace vexor::replication {

namespace {

constexpr std::size_t kHeaderBytes = 5;

struct Parts {
  bool rows_apart;
  Bytes record;
  Bytes rows;
};

Result<Parts> split(Bytes bytes) {
  if (bytes.size() < kHeaderBytes) return Error(Errc::kProtocol, "a log entry that is cut");
  const auto flag = static_cast<unsigned char>(bytes[0]);
  std::size_t size = 0;
  for (std::size_t i = 1; i < kHeaderBytes; ++i) size = size << 8U | static_cast<unsigned char>(bytes[i]);
  if (flag > 1 || size > bytes.size() - kHeaderBytes) return Error(Errc::kProtocol, "a malformed log entry");
  Parts parts{flag == 1, bytes.substr(kHeaderBytes, size), bytes.substr(kHeaderBytes + size)};
  if (parts.rows_apart && !parts.rows.empty()) return Error(Errc::kProtocol, "a log entry with rows that are apart");
  return parts;
}

}  // namespace

Digest to_digest(const std::string& hash) {
  Digest out{};
  std::copy_n(hash.begin(), std::min(hash.size(), out.size()), out.begin());
  return out;
}

std::string to_hash(const Digest& digest) { return std::string(digest.begin(), digest.end()); }

EntryId to_entry_id(const LogPosition& position) { return {position.sequence, to_digest(position.hash)}; }

std::string pack_entry_bytes(const LogEntry& entry) {
  std::string out;
  out.reserve(kHeaderBytes + entry.record.size() + entry.rows.size());
  out.push_back(entry.rows_apart ? '\1' : '\0');
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(entry.record.size() >> static_cast<unsigned>(shift)));
  out.append(entry.record);
  out.append(entry.rows);
  return out;
}

Result<Entry> unpack_entry(std::shared_ptr<const std::string> bytes) {
  VEXOR_TRY(const Parts parts, split(*bytes));
  auto place = place_of_record(parts.record);
  if (place.has_error()) return Error(Errc::kProtocol, place.error().message());
  Entry entry;
  entry.epoch = place.value().position.epoch;
  entry.id = to_entry_id(place.value().position);
  entry.previous_hash = to_digest(place.value().previous_hash);
  entry.bytes = std::move(bytes);
  return entry;
}

Result<LogEntry> to_log_entry(const Entry& entry) {
  VEXOR_TRY(const Parts parts, split(*entry.bytes));
  LogEntry out;
  out.position = {entry.epoch, entry.id.sequence, to_hash(entry.id.hash)};
  out.record = std::string(parts.record);
  out.rows = std::string(parts.rows);
  out.rows_apart = parts.rows_apart;
  return out;
}

bool same_record(const Entry& left, const Entry& right) {
  const auto a = split(*left.bytes);
  const auto b = split(*right.bytes);
  return a.has_value() && b.has_value() && a.value().record == b.value().record;
}

bool has_rows_apart(const Entry& entry) { return !entry.bytes->empty() && (*entry.bytes)[0] == '\1'; }

}  // namespace vexor::replication
