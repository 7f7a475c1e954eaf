// Snapshots and transactions, as a host uses them.
#include "support/push_builder.h"
#include "vexorstore/snapshot.h"
#include "vexorstore/transaction.h"

namespace vexor {
namespace {

using namespace test;

constexpr auto kTime = "A <a@b> 1700000000 +0000\n";

std::string commit_text(const ObjectId& tree, const std::string& parents, const std::string& message) {
  return "tree " + tree.hex() + "\n" + parents + "author " + kTime + "committer " + kTime + "\n" + message;
}

class HostApi : public testing::Test {
 protected:
  HostApi() : backend_(sys::make_memory_backend()), store_(open(*backend_)) {
    repository_ = store_->create_repository("a/b", {}, {}).value().id;
  }
  // One file in one commit; updates refs/heads/main from `old_id`.
  Result<ObjectId> write(const std::string& text, const ObjectId& old_id, const std::string& ref = "refs/heads/main") {
    auto transaction = begin_transaction(*store_, repository_, {}).value();
    const ObjectId blob = transaction->write_object(ObjectType::kBlob, text).value();
    const ObjectId tree = transaction->write_object(ObjectType::kTree, std::string("100644 f\0", 9) + std::string(blob.raw())).value();
    const std::string parents = old_id.is_null() ? "" : "parent " + old_id.hex() + "\n";
    const ObjectId commit = transaction->write_object(ObjectType::kCommit, commit_text(tree, parents, text)).value();
    EXPECT_TRUE(transaction->update_ref({ref, old_id, commit}).has_value());
    VEXOR_TRY(transaction->commit());
    return commit;
  }
  std::unique_ptr<sys::StorageBackend> backend_;
  std::unique_ptr<Store> store_;
  RepositoryId repository_ = 0;
  const ObjectId none_ = ObjectId::null(kAlgorithm);
};

TEST_F(HostApi, what_is_written_is_read_back) {
  const std::string large(3'000'000, 'x');
  const ObjectId first = write("one", none_).value();
  const ObjectId second = write(large, first).value();
  auto snapshot = open_snapshot(*store_, repository_).value();
  const auto ref = snapshot->find_ref("HEAD").value();
  ASSERT_TRUE(ref);
  EXPECT_EQ(ref->id, second);
  EXPECT_EQ(ref->symref_target, "refs/heads/main");
  const ObjectId blob = hash_object(kAlgorithm, ObjectType::kBlob, large).value();
  EXPECT_EQ(snapshot->find_object(blob).value()->bytes, large.size());
  std::string streamed;
  ASSERT_TRUE(snapshot->stream_object(blob, [&](Bytes piece) -> Result<void> {
    streamed += piece;
    return success();
  }).has_value());
  EXPECT_EQ(streamed, large);
  EXPECT_EQ(snapshot->read_object(blob).value(), large);
  std::size_t count = 0;
  ASSERT_TRUE(snapshot->each_object([&](const ObjectId&, const ObjectHeader&) -> Result<void> {
    ++count;
    return success();
  }).has_value());
  EXPECT_EQ(count, 6U);
  EXPECT_EQ(snapshot->find_prefix(blob.hex().substr(0, 12), 10).value(), std::vector<ObjectId>{blob});
  const auto log = snapshot->ref_log("refs/heads/main", 10).value();
  ASSERT_EQ(log.size(), 2U);
  EXPECT_EQ(log[0].old_id, first);
  EXPECT_EQ(log[0].new_id, second);
  EXPECT_TRUE(log[1].old_id.is_null());
}

TEST_F(HostApi, a_snapshot_does_not_move) {
  const ObjectId first = write("one", none_).value();
  auto before = open_snapshot(*store_, repository_).value();
  const ObjectId second = write("two", first).value();
  EXPECT_EQ(before->find_ref("refs/heads/main").value()->id, first);
  EXPECT_FALSE(before->find_object(second).value());
  EXPECT_EQ(before->refs("refs/heads/").value().size(), 1U);
}

TEST_F(HostApi, a_stale_update_changes_nothing) {
  const ObjectId first = write("one", none_).value();
  ASSERT_TRUE(write("two", first).has_value());
  const auto stale = write("three", first);
  ASSERT_TRUE(stale.has_error());
  EXPECT_EQ(stale.error().code(), Errc::kConflict);
  const ObjectId blob = hash_object(kAlgorithm, ObjectType::kBlob, "three").value();
  EXPECT_FALSE(open_snapshot(*store_, repository_).value()->find_object(blob).value());
}

TEST_F(HostApi, a_ref_to_a_missing_or_broken_object_is_refused) {
  auto transaction = begin_transaction(*store_, repository_, {}).value();
  const ObjectId absent = hash_object(kAlgorithm, ObjectType::kTree, "").value();
  const ObjectId commit = transaction->write_object(ObjectType::kCommit, commit_text(absent, "", "m")).value();
  ASSERT_TRUE(transaction->update_ref({"refs/heads/main", none_, commit}).has_value());
  EXPECT_EQ(transaction->commit().error().code(), Errc::kRefused);
  transaction = begin_transaction(*store_, repository_, {}).value();
  const ObjectId broken = transaction->write_object(ObjectType::kCommit, "no commit at all").value();
  ASSERT_TRUE(transaction->update_ref({"refs/heads/main", none_, broken}).has_value());
  EXPECT_TRUE(transaction->commit().has_error());
  EXPECT_TRUE(store_->list_refs(repository_).value().empty());
}

TEST_F(HostApi, deleting_a_ref_hides_its_objects) {
  const ObjectId first = write("one", none_).value();
  auto transaction = begin_transaction(*store_, repository_, {}).value();
  ASSERT_TRUE(transaction->update_ref({"refs/heads/main", first, none_}).has_value());
  ASSERT_TRUE(transaction->commit().has_value());
  auto snapshot = open_snapshot(*store_, repository_).value();
  EXPECT_FALSE(snapshot->find_object(first).value());
  EXPECT_EQ(snapshot->ref_log("refs/heads/main", 10).value().size(), 2U);
}

}  // namespace
}  // namespace vexor
