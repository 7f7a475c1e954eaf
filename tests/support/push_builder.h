// Pushes made in memory, for tests of the store and the sessions.
#pragma once

#include <gtest/gtest.h>

#include "compress/zlib_stream.h"
#include "crypto/digest.h"
#include "crypto/object_hasher.h"
#include "format/pack_entry.h"
#include "format/pkt_line.h"
#include "vexorstore/protocol/receive_pack.h"
#include "vexorstore/sys/backends.h"

namespace vexor::test {

constexpr auto kAlgorithm = HashAlgorithm::kSha1;

class PackBuilder {
 public:
  ObjectId add(ObjectType type, const std::string& content) {
    format::append_pack_entry_header(entries_, static_cast<format::PackEntryKind>(type), content.size());
    entries_ += compress::deflate(content, 1);
    ++count_;
    return hash_object(kAlgorithm, type, content).value();
  }
  // A delta on an object of the same pack or, in a thin pack, of the repository. Returns the id of `content`.
  ObjectId add_delta(ObjectType type, const ObjectId& base, const std::string& base_content, const std::string& content) {
    std::string delta;
    for (std::size_t size : {base_content.size(), content.size()}) {
      for (; size > 0x7F; size >>= 7) delta.push_back(static_cast<char>(0x80 | (size & 0x7F)));
      delta.push_back(static_cast<char>(size));
    }
    std::size_t same = 0;
    while (same < base_content.size() && same < content.size() && same < 0xFFFF && base_content[same] == content[same]) ++same;
    if (same > 0) delta += {static_cast<char>(0xB0), static_cast<char>(same & 0xFF), static_cast<char>(same >> 8)};
    for (std::size_t at = same; at < content.size();) {
      const std::size_t count = std::min<std::size_t>(0x7F, content.size() - at);
      delta.push_back(static_cast<char>(count));
      delta.append(content, at, count);
      at += count;
    }
    format::append_pack_entry_header(entries_, format::PackEntryKind::kRefDelta, delta.size());
    entries_.append(base.raw());
    entries_ += compress::deflate(delta, 1);
    ++count_;
    return hash_object(kAlgorithm, type, content).value();
  }
  std::string finish() const {
    std::string out;
    format::append_pack_header(out, count_);
    out += entries_;
    PackChecksum sum(kAlgorithm);
    sum.update(out);
    return out + sum.finish();
  }

 private:
  std::string entries_;
  std::uint32_t count_ = 0;
};

struct Push {
  ObjectId tip;
  std::string request;
};

// `blobs` new files in one commit on top of `parent`.
inline ObjectId add_commit(PackBuilder& pack, const std::optional<ObjectId>& parent, int round, int blobs) {
  std::string tree;
  for (int i = 0; i < blobs; ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "file%06d", i);
    const ObjectId blob = pack.add(ObjectType::kBlob, "round " + std::to_string(round) + " file " + std::to_string(i));
    tree += std::string("100644 ") + name + std::string(1, '\0') + std::string(blob.raw());
  }
  const ObjectId tree_id = pack.add(ObjectType::kTree, tree);
  std::string commit = "tree " + tree_id.hex() + "\n";
  if (parent) commit += "parent " + parent->hex() + "\n";
  commit += "author A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n\nround " + std::to_string(round) + "\n";
  return pack.add(ObjectType::kCommit, commit);
}

// A push of one such commit; many blobs make it a bulk one.
inline Push make_push(const std::optional<ObjectId>& parent, int round, int blobs, const std::string& ref, const ObjectId& old_id) {
  PackBuilder pack;
  const ObjectId tip = add_commit(pack, parent, round, blobs);
  std::string request;
  format::append_pkt_line(request, old_id.hex() + " " + tip.hex() + " " + ref + std::string(1, '\0') + " report-status");
  format::append_flush(request);
  return {tip, request + pack.finish()};
}

// One command and a pack; an empty pack for none.
inline std::string push_request(const ObjectId& old_id, const ObjectId& new_id, const std::string& ref, const std::string& pack) {
  std::string request;
  format::append_pkt_line(request, old_id.hex() + " " + new_id.hex() + " " + ref + std::string(1, '\0') + " report-status delete-refs");
  format::append_flush(request);
  return request + pack;
}

inline std::string delete_request(const ObjectId& old_id, const std::string& ref) { return push_request(old_id, ObjectId::null(kAlgorithm), ref, {}); }

inline bool run_push(Store& store, const std::string& name, const std::string& request) {
  const auto repository = store.find_repository(name);
  if (repository.has_error() || !repository.value()) return false;
  protocol::ReceivePackOptions options;
  options.stateless = true;
  auto made = protocol::make_receive_pack(store, *repository.value(), options);
  if (made.has_error()) return false;
  protocol::Session& session = *made.value();
  std::string answer;
  std::size_t fed = 0;
  char room[4096];
  while (session.wants() != protocol::Wants::kDone) {
    switch (session.wants()) {
      case protocol::Wants::kInput:
        if (fed == request.size()) session.end_of_input();
        else fed += session.feed(Bytes(request).substr(fed, 7001));
        break;
      case protocol::Wants::kOutput: answer.append(room, session.drain(room)); break;
      case protocol::Wants::kWork: session.run_work(); break;
      case protocol::Wants::kDone: break;
    }
  }
  return answer.find("unpack ok") != std::string::npos && answer.find("ng ") == std::string::npos;
}

class Forwarding : public sys::StorageBackend {  // a store owns its backend; the test keeps the real one
 public:
  explicit Forwarding(sys::StorageBackend& inner) : inner_(inner) {}
  Result<std::shared_ptr<const sys::StorageSnapshot>> snapshot() override { return inner_.snapshot(); }
  Result<void> commit(const sys::Batch& batch, sys::Durability d) override { return inner_.commit(batch, d); }
  Result<std::unique_ptr<sys::BulkWriter>> bulk_writer(sys::Family f) override { return inner_.bulk_writer(f); }
  Result<void> ingest(std::vector<std::unique_ptr<sys::BulkWriter>> w) override { return inner_.ingest(std::move(w)); }
  Result<bool> check_some(std::string& position, std::uint64_t& bytes, std::vector<sys::DamagedRows>& damaged) override {
    return inner_.check_some(position, bytes, damaged);
  }
  Result<bool> compact(sys::Family f, Bytes first, Bytes end, std::string& position, std::uint64_t& bytes) override {
    return inner_.compact(f, first, end, position, bytes);
  }
  Result<void> checkpoint(const std::filesystem::path& d) override { return inner_.checkpoint(d); }
  sys::Capabilities capabilities() const override { return inner_.capabilities(); }
  std::uint64_t approximate_bytes(sys::Family f) override { return inner_.approximate_bytes(f); }

 private:
  sys::StorageBackend& inner_;
};

inline std::unique_ptr<Store> open(sys::StorageBackend& backend) {
  auto store = Store::open(std::make_unique<Forwarding>(backend), StoreOptions{});
  EXPECT_TRUE(store.has_value());
  return std::move(store).value();
}

}  // namespace vexor::test
