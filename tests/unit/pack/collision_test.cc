// An object comes whose id is stored with other bytes: the stored ones stay, and the host is told.
#include "support/push_builder.h"
#include "support/session_run.h"
#include "support/tamper.h"
#include "vexorstore/snapshot.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

class Collision : public testing::Test {
 protected:
  void SetUp() override {
    id = store->create_repository("a/b", {}, {}).value().id;
    first = make_push(std::nullopt, 1, 3, "refs/heads/main", none);
    ASSERT_TRUE(run_push(*store, "a/b", first.request));
    blob = hash_object(kAlgorithm, ObjectType::kBlob, content).value();
  }
  // A new commit that holds the blob; `blobs`: more objects, many of them make the push a bulk one.
  std::unique_ptr<protocol::Session> push(int blobs = 0) {
    PackBuilder pack;
    EXPECT_EQ(pack.add(ObjectType::kBlob, content), blob);
    for (int i = 0; i < blobs; ++i) pack.add(ObjectType::kBlob, "another " + std::to_string(i));
    const ObjectId tree = pack.add(ObjectType::kTree, std::string("100644 f") + std::string(1, '\0') + std::string(blob.raw()));
    const ObjectId tip = pack.add(ObjectType::kCommit, "tree " + tree.hex() + "\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nm\n");
    std::string request;
    format::append_pkt_line(request, none.hex() + " " + tip.hex() + " refs/heads/new" + std::string(1, '\0') + " report-status");
    format::append_flush(request);
    protocol::ReceivePackOptions options;
    options.stateless = true;
    auto session = protocol::make_receive_pack(*store, *store->find_repository("a/b").value(), options).value();
    answer = run_session(*session, request + pack.finish());
    return session;
  }
  std::string stored() { return open_snapshot(*store, id).value()->read_object(blob).value(); }

  const ObjectId none = ObjectId::null(kAlgorithm);
  const std::string content = "round 1 file 0";  // of make_push
  std::unique_ptr<sys::StorageBackend> memory = sys::make_memory_backend();
  std::unique_ptr<Store> store = open(*memory);
  RepositoryId id = 0;
  Push first;
  ObjectId blob;
  std::string answer;
};

TEST_F(Collision, equal_bytes_are_no_collision) {
  EXPECT_EQ(push()->failure(), nullptr);
  EXPECT_NE(answer.find("ok refs/heads/new"), std::string::npos) << answer;
}

TEST_F(Collision, other_bytes_are_refused_and_the_stored_ones_stay) {
  for (const std::string other : {"round 1 file X", "of another size", ""}) {
    for (const int blobs : {0, 4500}) {
      ASSERT_TRUE(tamper(*memory, blob, other).has_value());
      store = open(*memory);
      const auto sequence = store->last_sequence();
      const auto bytes = memory->approximate_bytes(Family::kExtents) + memory->approximate_bytes(Family::kIndex) + memory->approximate_bytes(Family::kQuarantine);
      const auto session = push(blobs);
      ASSERT_NE(session->failure(), nullptr);
      EXPECT_EQ(session->failure()->code(), Errc::kCollision);  // what vexord raises its alarm for
      EXPECT_NE(session->failure()->message().find(blob.hex()), std::string::npos);
      EXPECT_NE(answer.find("unpack object " + blob.hex() + " differs from the stored object of that id"), std::string::npos) << answer;
      EXPECT_NE(answer.find("ng refs/heads/new"), std::string::npos) << answer;
      EXPECT_EQ(stored(), other);
      EXPECT_EQ(store->last_sequence(), sequence);
      EXPECT_EQ(memory->approximate_bytes(Family::kExtents) + memory->approximate_bytes(Family::kIndex) + memory->approximate_bytes(Family::kQuarantine), bytes);
    }
  }
}

// Stored by a fork of the same pool alone: the object is compared all the same, for it would be shared.
TEST_F(Collision, also_against_what_only_a_fork_reaches) {
  ASSERT_TRUE(store->fork_repository("a/b", "c/b", {}).has_value());
  const Push other = make_push(first.tip, 7, 1, "refs/heads/side", none);
  ASSERT_TRUE(run_push(*store, "c/b", other.request));
  const ObjectId theirs = hash_object(kAlgorithm, ObjectType::kBlob, "round 7 file 0").value();
  ASSERT_TRUE(tamper(*memory, theirs, "round 7 file X").has_value());
  store = open(*memory);
  EXPECT_FALSE(run_push(*store, "a/b", other.request));
  EXPECT_FALSE(open_snapshot(*store, id).value()->read_object(theirs).has_value());
}

}  // namespace
}  // namespace vexor
