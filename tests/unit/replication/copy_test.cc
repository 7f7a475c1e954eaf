// Taking a copy of a store: peers that break off, change octets, tell lies; no space; crashes at every step of the swap.
#include "replication/host/copy_taker.h"

#include <gtest/gtest.h>

#include <fstream>

#include "replication/host/copy_source.h"
#include "replication/host/durable_files.h"
#include "replication/host/entry_codec.h"
#include "replication/host/store_log.h"
#include "replication/host/store_mark.h"
#include "replication/host/store_note.h"
#include "support/push_builder.h"
#include "support/scratch_directory.h"
#include "vexorstore/store_copy.h"

namespace vexor::replication {
namespace {

namespace fs = std::filesystem;
using namespace test;

constexpr Epoch kEpoch = 3;
constexpr NodeId kMember = 2;

// The source's side without a network, with faults.
class TestPeer final : public CopyPeer {
 public:
  explicit TestPeer(CopySource& source) : source_(source) {}
  Result<CopyOffer> open(Epoch) override { return Error(Errc::kUnavailable, "not used"); }
  Result<std::string> read(const CopyOffer& offer, const CopyFile& file, std::uint64_t offset, const std::function<Result<void>(Bytes)>& take) override {
    FileDigest digest;
    for (std::uint64_t at = 0;; at += kCopyPieceBytesMax) {
      VEXOR_TRY(std::string piece, source_.read(kMember, offer.id, file.name, at, 0));
      if (piece.empty()) break;
      digest.add(piece);
      if (at < offset) continue;
      ++pieces_;
      octets_ += piece.size();
      if (breaks_at_ != 0 && pieces_ == breaks_at_) return Error(Errc::kUnavailable, "broken off");
      if (changes_ && changes_(file, piece)) changes_ = nullptr;
      VEXOR_TRY(take(piece));
      if (is_doubled_) {
        VEXOR_TRY(take(piece));
      }
    }
    std::string told = digest.value();
    if (lies_) told[0] = static_cast<char>(told[0] ^ 1);
    return told;
  }
  void close(const CopyOffer& offer) override { source_.close(kMember, offer.id); }

  std::function<bool(const CopyFile&, std::string&)> changes_;  // true: that was it
  bool is_doubled_ = false;
  bool lies_ = false;
  int breaks_at_ = 0;
  int pieces_ = 0;
  std::uint64_t octets_ = 0;

 private:
  CopySource& source_;
};

class CopyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto backend = sys::open_rocksdb_backend(at_.path() / "primary");
    store_ = Store::open(std::move(backend).value(), {}).value();
    ASSERT_TRUE(store_->create_repository("a/b", {}, {}).has_value());
    // Some files of more than a piece.
    const Push push = make_push(std::nullopt, 0, 9000, "refs/heads/main", ObjectId::null(kAlgorithm));
    ASSERT_TRUE(run_push(*store_, "a/b", push.request));
    log_ = join_replica_set(*store_).value();
    ASSERT_TRUE(log_->save_state(encode_promise(kEpoch)).has_value());
    source_ = std::make_unique<CopySource>(*store_, at_.path() / "copy-out");
    place_.store = at_.path() / "member" / "store";
    place_.scratch = at_.path() / "member" / "copy-in";
    fs::create_directories(place_.store);
    ASSERT_TRUE(note_damage(place_.store, "the test says so").has_value());
    offer_ = offer();
    peer_ = std::make_unique<TestPeer>(*source_);
  }
  CopyOffer offer() { return source_->open(kMember, to_entry_id(log_->last()), kEpoch, 0).value(); }
  void expect_good(const fs::path& store) {
    auto copy = Store::open(sys::open_rocksdb_backend(store).value(), {}).value();
    const auto log = join_replica_set(*copy).value();
    EXPECT_EQ(log->last().hash, log_->last().hash);
    EXPECT_EQ(log->load_state().value(), encode_promise(kEpoch));
    EXPECT_EQ(copy->find_repository("a/b").value()->name, "a/b");
    EXPECT_EQ(StoreMark::read(store).value(), (Mark{to_entry_id(log_->last()), kEpoch}));
    EXPECT_FALSE(noted_damage(store));
  }

  ScratchDirectory at_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<ReplicaLog> log_;
  std::unique_ptr<CopySource> source_;
  std::unique_ptr<TestPeer> peer_;
  CopyPlace place_;
  CopyOffer offer_;
};

TEST_F(CopyTest, replaces_the_store) {
  const StoreName before = StoreMark::open(place_.store, {}).value()->name();
  ASSERT_TRUE(fetch_copy(*peer_, offer_, place_).has_value());
  const auto sound = check_fetched(offer_, place_, {});
  ASSERT_TRUE(sound.has_value()) << sound.error().message();
  ASSERT_TRUE(install_copy(place_).has_value());
  EXPECT_FALSE(fs::exists(place_.scratch));
  expect_good(place_.store);
  EXPECT_NE(StoreMark::open(place_.store, {}).value()->name(), before) << "it is another store (N1)";
}

TEST_F(CopyTest, goes_on_where_it_broke_off) {
  int failures = 0;
  for (peer_->breaks_at_ = 2; fetch_copy(*peer_, offer_, place_).has_error(); peer_->breaks_at_ = 2) {
    peer_->pieces_ = 0;
    ASSERT_LT(++failures, 1000);
    if (failures % 3 == 0) {  // another checkpoint, another id: what came stays
      source_->close(kMember, offer_.id);
      offer_ = offer();
    }
  }
  std::uint64_t total = 0;
  for (const CopyFile& file : offer_.files) total += file.bytes;
  EXPECT_GT(failures, 3);
  EXPECT_LT(peer_->octets_, 2 * total + static_cast<std::uint64_t>(failures) * kCopyPieceBytesMax);
  ASSERT_TRUE(check_fetched(offer_, place_, {}).has_value());
  expect_good(place_.scratch);
}

TEST_F(CopyTest, takes_no_piece_that_is_not_the_next) {
  // Changed in one octet; cut; doubled.
  peer_->changes_ = [](const CopyFile&, std::string& piece) { return piece[piece.size() / 2] ^= 1, true; };
  EXPECT_EQ(fetch_copy(*peer_, offer_, place_).error().code(), Errc::kProtocol);
  peer_->changes_ = [](const CopyFile&, std::string& piece) { return piece.pop_back(), true; };
  EXPECT_EQ(fetch_copy(*peer_, offer_, place_).error().code(), Errc::kProtocol);
  peer_->is_doubled_ = true;
  EXPECT_EQ(fetch_copy(*peer_, offer_, place_).error().code(), Errc::kProtocol);
  peer_->is_doubled_ = false;
  peer_->lies_ = true;
  EXPECT_EQ(fetch_copy(*peer_, offer_, place_).error().code(), Errc::kProtocol);
  peer_->lies_ = false;
  EXPECT_EQ(noted_damage(place_.store), "the test says so");
  ASSERT_TRUE(fetch_copy(*peer_, offer_, place_).has_value());
  ASSERT_TRUE(check_fetched(offer_, place_, {}).has_value());
}

TEST_F(CopyTest, refuses_offers_that_are_none) {
  const auto refused = [&](const std::function<void(CopyOffer&)>& change) {
    CopyOffer bad = offer_;
    change(bad);
    return fetch_copy(*peer_, bad, place_).error().code() == Errc::kProtocol;
  };
  for (const char* name : {"", "..", "../x", "a/b", "/x", ".hidden", "a b", "\xc3\xa4"}) {
    EXPECT_TRUE(refused([&](CopyOffer& bad) { bad.files[0].name = name; })) << name;
  }
  EXPECT_TRUE(refused([](CopyOffer& bad) { bad.files[0].name = std::string(kCopyNameBytesMax + 1, 'x'); }));
  EXPECT_TRUE(refused([](CopyOffer& bad) { bad.files[1].name = bad.files[0].name; }));
  EXPECT_TRUE(refused([](CopyOffer& bad) { bad.files[0].bytes = kCopyBytesMax; bad.files[1].bytes = 1; }));
  EXPECT_TRUE(refused([](CopyOffer& bad) { bad.files.clear(); }));
  EXPECT_TRUE(refused([](CopyOffer& bad) { bad.files[0].bytes += 1; }));  // longer than it is
  EXPECT_FALSE(fs::exists(at_.path() / "x"));
}

TEST_F(CopyTest, believes_no_peer_that_lies_about_its_log) {
  const auto unsound = [&](const std::function<void(CopyOffer&)>& change) {
    CopyOffer bad = offer_;
    change(bad);
    fs::remove_all(place_.scratch);
    EXPECT_TRUE(fetch_copy(*peer_, offer_, place_).has_value());
    const auto done = check_fetched(bad, place_, {});
    return done.has_error() && done.error().code() == Errc::kCorrupt;
  };
  EXPECT_TRUE(unsound([](CopyOffer& bad) { bad.epoch += 1; }));
  EXPECT_TRUE(unsound([](CopyOffer& bad) { bad.epoch -= 1; }));
  EXPECT_TRUE(unsound([](CopyOffer& bad) { bad.at.hash[5] ^= 1; }));
  EXPECT_TRUE(unsound([](CopyOffer& bad) { bad.at.sequence += 1; }));
  EXPECT_FALSE(unsound([](CopyOffer&) {}));
}

// Octets that are wrong at the source have the right digest.
TEST_F(CopyTest, damage_of_the_source_is_not_taken_over) {
  int found = 0;
  for (const CopyFile& file : offer_.files) {
    if (!file.name.ends_with(".sst")) continue;
    const fs::path path = at_.path() / "copy-out" / file.name;
    std::string octets;
    {
      std::ifstream in(path, std::ios::binary);
      octets.assign(std::istreambuf_iterator<char>(in), {});
    }
    fs::remove(path);  // it is a hard link: the store's own stays whole
    octets[octets.size() / 3] ^= 4;
    std::ofstream(path, std::ios::binary) << octets;
    fs::remove_all(place_.scratch);
    ASSERT_TRUE(fetch_copy(*peer_, offer_, place_).has_value());
    found += check_fetched(offer_, place_, {}).has_error() ? 1 : 0;
    octets[octets.size() / 3] ^= 4;
    std::ofstream(path, std::ios::binary) << octets;
  }
  EXPECT_GE(found, 3);
}

TEST_F(CopyTest, needs_space_before_the_first_octet) {
  std::uint64_t total = 0;
  for (const CopyFile& file : offer_.files) total += file.bytes;
  place_.free_bytes = [total] { return Result<std::uint64_t>(total); };  // and nothing to spare
  EXPECT_EQ(fetch_copy(*peer_, offer_, place_).error().code(), Errc::kLimitExceeded);
  EXPECT_EQ(peer_->pieces_, 0);
  place_.free_bytes = [total] { return Result<std::uint64_t>(total + (64U << 20U)); };
  EXPECT_TRUE(fetch_copy(*peer_, offer_, place_).has_value());
}

// What a start finds after a crash at each step: the old store with its note, or the new one.
TEST_F(CopyTest, a_crash_in_the_swap_leaves_one_of_the_two) {
  ASSERT_TRUE(fetch_copy(*peer_, offer_, place_).has_value());
  tidy_up_copy(place_);  // crash while or after files came
  EXPECT_TRUE(fs::exists(place_.scratch)) << "a copy goes on with them";
  ASSERT_TRUE(check_fetched(offer_, place_, {}).has_value());
  tidy_up_copy(place_);  // crash before the exchange
  EXPECT_EQ(noted_damage(place_.store), "the test says so");
  ASSERT_TRUE(exchange_directories(place_.scratch, place_.store).has_value());
  EXPECT_EQ(noted_damage(place_.scratch), "the test says so");
  fs::remove(place_.scratch / "CURRENT");  // crash while the old one was being removed
  tidy_up_copy(place_);
  EXPECT_FALSE(fs::exists(place_.scratch));
  expect_good(place_.store);
}

TEST_F(CopyTest, a_source_has_one_for_one_member_and_not_for_ever) {
  EXPECT_EQ(source_->open(3, {}, kEpoch, 0).error().code(), Errc::kUnavailable);
  const std::string name = offer_.files[0].name;
  EXPECT_EQ(source_->read(3, offer_.id, name, 0, 0).error().code(), Errc::kNotFound);
  EXPECT_EQ(source_->read(kMember, offer_.id + 1, name, 0, 0).error().code(), Errc::kNotFound);
  EXPECT_EQ(source_->read(kMember, offer_.id, "../primary/CURRENT", 0, 0).error().code(), Errc::kNotFound);
  ASSERT_TRUE(source_->read(kMember, offer_.id, name, 0, kCopyIdleMs).has_value());
  source_->expire(2 * kCopyIdleMs);  // it was read since
  ASSERT_TRUE(source_->read(kMember, offer_.id, name, 0, kCopyIdleMs).has_value());
  source_->expire(2 * kCopyIdleMs + 1);
  EXPECT_FALSE(fs::exists(at_.path() / "copy-out"));
  EXPECT_EQ(source_->read(kMember, offer_.id, name, 0, 0).error().code(), Errc::kNotFound);
  ASSERT_TRUE(source_->open(3, {}, kEpoch, 0).has_value());
  source_.reset();
  EXPECT_FALSE(fs::exists(at_.path() / "copy-out"));
}

}  // namespace
}  // namespace vexor::replication
