// PackReceiver: takes a pack as a stream, spools each entry's payload as it came, hashes and checks
// whole objects, and then resolves the deltas. Spec: gitformat-pack.
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
#include "pack/object_reader.h"
#include "pack/spool.h"

namespace vexor::pack {

constexpr std::uint32_t kNoEntry = 0xFFFFFFFFU;

struct PushEntry {
  ObjectId id;
  ObjectType type = ObjectType::kBlob;
  bool is_delta = false;
  bool resolved = false;
  std::uint32_t depth = 0;
  std::uint32_t base_entry = kNoEntry;      // delta against an entry of this pack
  ObjectNumber base_number = kNoObject;     // delta against a stored object (thin pack)
  std::uint64_t spool_offset = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t entry_bytes = 0;
  std::uint64_t object_bytes = 0;
};

class PackReceiver {
 public:
  // `visible`: what thin packs may use as bases.
  PackReceiver(ObjectReader& reader, store::SetPtr visible, const Limits& limits,
               const std::filesystem::path& scratch, format::CheckPolicy policy);

  // Takes all of `input` up to the end of the pack; returns how many bytes belonged to it.
  Result<std::size_t> feed(Bytes input);
  bool received() const { return state_ == State::kDone; }
  std::uint32_t object_count() const { return object_count_; }
  std::uint32_t entries_received() const { return static_cast<std::uint32_t>(entries_.size()); }

  // Resolves some deltas; true when all are. Call only once received().
  Result<bool> resolve_some();
  std::uint32_t deltas_total() const { return delta_count_; }
  std::uint32_t deltas_resolved() const { return resolved_deltas_; }

  // After resolving:
  const std::vector<PushEntry>& entries() const { return entries_; }
  std::vector<PushEntry>& entries() { return entries_; }
  Result<std::shared_ptr<const std::string>> read(std::uint32_t entry);
  Result<Bytes> payload(std::uint32_t entry, std::uint64_t offset, std::size_t count, std::string& room);
  std::optional<std::uint32_t> find(const ObjectId& id) const;  // needs sort_ids()
  void sort_ids();
  Spool& spool() { return spool_; }
  // Of the snapshot that the pack arrived in.
  const ObjectReader& reader() const { return reader_; }

 private:
  enum class State { kPackHeader, kEntryHeader, kPayload, kTrailer, kDone };
  struct Frame {
    std::uint32_t entry;                  // kNoEntry: a stored base
    std::shared_ptr<const std::string> content;
    std::vector<std::uint32_t> children;  // still to do, last first
  };

  Result<std::size_t> take_fixed(Bytes input, std::size_t want);
  Result<void> begin_pack();
  Result<std::size_t> begin_entry(Bytes input);
  Result<std::size_t> take_whole_payload(Bytes input);
  Result<std::size_t> take_payload(Bytes input);
  Result<void> end_entry();
  Result<void> end_pack();
  Result<void> check_object(ObjectType type, Bytes content, const ObjectId& id);
  Result<void> check_modules();
  static Result<void> refuse_errors(const std::vector<format::CheckFinding>& findings, const ObjectId& id);
  Result<std::string> inflate(std::uint32_t entry);
  Result<void> start_resolving();
  std::vector<std::uint32_t> children_of(std::uint32_t entry, const ObjectId& id) const;
  Result<bool> push_stored_base(const ObjectId& id);
  Result<std::uint64_t> resolve_child(std::uint32_t child);
  void trim_frames();

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
  std::vector<std::pair<ObjectId, std::uint32_t>> ref_children_;    // base id -> entry
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ofs_children_;
  // The entry being received.
  compress::Inflater inflater_;
  std::unique_ptr<ObjectHasher> hasher_;
  bool is_fresh_ = false;      // nothing of its payload was taken yet
  bool keep_content_ = false;
  std::string content_;
  std::string delta_room_;
  std::uint64_t produced_ = 0;
  // Resolving.
  bool resolving_ = false;
  std::uint32_t next_root_ = 0;
  std::size_t next_thin_ = 0;
  std::uint32_t delta_count_ = 0;
  std::uint32_t resolved_deltas_ = 0;
  std::uint64_t frame_bytes_ = 0;
  std::vector<Frame> frames_;
  ObjectCache cache_;
  std::vector<std::uint32_t> by_id_;
  std::vector<std::uint32_t> fanout_;  // by_id_ by the first 16 bits of the id, as in a pack index
  std::unordered_set<ObjectId, ObjectIdHash> modules_;  // what trees of the push call .gitmodules
};

}  // namespace vexor::pack
