// PackReceiver: takes a pack as a stream, spools each entry's payload as it came, hashes and checks
// whole objects, and then has the deltas resolved. Spec: gitformat-pack.
//
// Memory: the records of the entries, `ingest_memory_bytes` of bases, and one object at a time (a
// blob that is not a delta flows through in pieces). Every number the peer chooses has a limit.
#pragma once

#include <unordered_set>

#include "compress/zlib_stream.h"
#include "crypto/digest.h"
#include "crypto/object_hasher.h"
#include "format/gitmodules_check.h"
#include "format/object_check.h"
#include "format/object_parse.h"
#include "format/pack_entry.h"
#include "pack/delta_resolver.h"
#include "pack/entry_reader.h"

namespace vexor::pack {

class PackReceiver {
 public:
  // `visible`: what thin packs may use as bases. `workers`: for resolving.
  PackReceiver(ObjectReader& reader, store::SetPtr visible, const Limits& limits,
               const std::filesystem::path& scratch, format::CheckPolicy policy, sys::WorkerPool& workers);

  // Takes all of `input` up to the end of the pack; returns how many bytes belonged to it.
  Result<std::size_t> feed(Bytes input);
  bool received() const { return state_ == State::kDone; }
  std::uint32_t object_count() const { return object_count_; }
  std::uint32_t entries_received() const { return static_cast<std::uint32_t>(entries_.size()); }

  // Resolves some deltas; true when all are. Call only once received().
  Result<bool> resolve_some();
  std::uint32_t deltas_total() const { return delta_count_; }
  std::uint32_t deltas_resolved() const { return resolver_ ? resolver_->deltas_resolved() : 0; }

  // After resolving:
  const std::vector<PushEntry>& entries() const { return entries_; }
  std::vector<PushEntry>& entries() { return entries_; }
  Result<std::shared_ptr<const std::string>> read(std::uint32_t entry) { return entry_reader_.read(entry); }
  // The same for one thread more. `stored`: for the bases of thin packs.
  EntryReader entry_reader(ObjectReader& stored, std::size_t cache_bytes) { return {entries_, spool_, stored, limits_, cache_bytes}; }
  Result<Bytes> payload(std::uint32_t entry, std::uint64_t offset, std::size_t count, std::string& room) const;
  std::optional<std::uint32_t> find(const ObjectId& id) const;  // needs sort_ids()
  std::uint32_t first_of_id(std::uint32_t entry) const;         // the same
  const std::vector<std::uint32_t>& by_id() const { return by_id_; }  // entries by id, the same; equal ones by place
  // Once all ids are known; the second call does nothing.
  void sort_ids();
  const Spool& spool() const { return spool_; }
  // Of the snapshot that the pack arrived in.
  const ObjectReader& reader() const { return reader_; }
  ObjectReader& reader() { return reader_; }

 private:
  enum class State { kPackHeader, kEntryHeader, kPayload, kTrailer, kDone };
  Result<std::size_t> take_fixed(Bytes input, std::size_t want);
  Result<void> begin_pack();
  Result<std::size_t> begin_entry(Bytes input);
  Result<std::size_t> take_whole_payload(Bytes input);
  Result<std::size_t> take_payload(Bytes input);
  Result<void> take_raw(Bytes raw);
  Result<void> end_entry();
  Result<void> end_pack();
  Result<void> check_object(ObjectType type, Bytes content, const ObjectId& id);
  Result<void> check_modules();

  ObjectReader& reader_;
  store::SetPtr visible_;
  Limits limits_;
  HashAlgorithm algorithm_;
  Spool spool_;
  format::ObjectChecker checker_;
  State state_ = State::kPackHeader;
  std::string pending_;  // a header or trailer that arrived in parts
  PackChecksum checksum_;
  std::uint64_t pack_bytes_ = 0;
  std::uint64_t inflated_total_ = 0;
  std::uint32_t object_count_ = 0;
  std::vector<PushEntry> entries_;
  std::vector<std::uint64_t> pack_offsets_;                         // start of each entry in the pack
  DeltaChildren children_;
  // The entry being received.
  compress::Inflater inflater_;
  std::unique_ptr<ObjectHasher> hasher_;
  bool is_fresh_ = false;      // nothing of its payload was taken yet
  bool keep_content_ = false;
  std::string content_;
  std::string delta_room_;
  std::uint64_t produced_ = 0;
  // Resolving.
  std::uint32_t delta_count_ = 0;
  sys::WorkerPool& workers_;
  std::unique_ptr<DeltaResolver> resolver_;
  EntryReader entry_reader_;
  std::vector<std::uint32_t> by_id_;
  unsigned slot_shift_ = 0;
  std::vector<std::uint32_t> slots_;  // by_id_ by the first bits of the id, as in a pack index
  std::unordered_map<std::uint32_t, std::uint32_t> again_;  // entries whose id an earlier one has -> the first
  std::unordered_set<ObjectId, ObjectIdHash> modules_;  // what trees of the push call .gitmodules
};

}  // namespace vexor::pack
