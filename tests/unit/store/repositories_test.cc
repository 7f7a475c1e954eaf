// Repositories and accounts: ids, settings.
#include <gtest/gtest.h>

#include "format/keys.h"
#include "format/state_rows.h"
#include "store/store_core.h"
#include "support/push_builder.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

class Repositories : public testing::Test {
 protected:
  Repositories() : backend_(sys::make_memory_backend()) { reopen(); }
  void reopen() {
    store_.reset();
    store_ = Store::open(std::make_unique<Forwarding>(*backend_), StoreOptions{}).value();
  }
  std::unique_ptr<sys::StorageBackend> backend_;
  std::unique_ptr<Store> store_;
};

TEST_F(Repositories, an_id_is_not_given_again_when_creations_commit_out_of_order_and_the_last_is_purged) {
  const auto first = store_->create_repository("a/first", {}, {}).value();
  const auto second = store_->create_repository("a/second", {}, {}).value();
  store::Change late;  // what the creation of the first one writes, behind that of the second
  late.record.kind = format::OperationKind::kRepositoryCreate;
  late.record.changes.push_back({Family::kRepositories, "i", format::pool_key(first.id + 1)});
  ASSERT_TRUE(store_->core().committer->submit(std::move(late)).has_value());
  ASSERT_TRUE(store_->delete_repository("a/second", {}).has_value());
  ASSERT_TRUE(store_->purge_repository("a/second", {}).has_value());
  reopen();
  EXPECT_GT(store_->create_repository("a/third", {}, {}).value().id, second.id);
}

// As stores have it that were written before the committer kept the counter from going back.
TEST_F(Repositories, an_id_in_use_is_not_given_again_when_the_counter_lags) {
  const auto first = store_->create_repository("a/first", {}, {}).value();
  const auto second = store_->create_repository("a/second", {}, {}).value();
  sys::Batch batch;
  batch.put(Family::kRepositories, "i", format::pool_key(second.id));
  ASSERT_TRUE(backend_->commit(batch, sys::Durability::kSynced).has_value());
  reopen();
  const auto third = store_->create_repository("a/third", {}, {}).value();
  EXPECT_GT(third.id, second.id);
  EXPECT_EQ(store_->find_repository("a/second").value()->id, second.id);
  EXPECT_EQ(store_->find_repository("a/second").value()->name, "a/second");
  const auto account = store_->create_account("ann", "a good password", {}).value();
  batch = sys::Batch();
  batch.put(Family::kRepositories, "i", format::pool_key(1));
  ASSERT_TRUE(backend_->commit(batch, sys::Durability::kSynced).has_value());
  reopen();
  EXPECT_GT(store_->create_account("bob", "a good password", {}).value().id, account.id);
}

TEST_F(Repositories, a_list_that_could_not_be_read_back_is_refused) {
  auto info = store_->create_repository("a/b", {}, {}).value();
  info.hidden_refs.assign(format::kRowListMax, "refs/x/");
  EXPECT_TRUE(store_->update_repository(info, {}).has_value());
  const auto refuse = [&](const RepositoryInfo& bad) {
    const auto done = store_->update_repository(bad, {});
    ASSERT_TRUE(done.has_error());
    EXPECT_EQ(done.error().code(), Errc::kLimitExceeded);
  };
  RepositoryInfo bad = info;
  bad.hidden_refs.push_back("refs/y/");
  refuse(bad);
  bad = info;
  bad.bundle_lines.assign(format::kRowListMax + 1, "a.b=c");
  refuse(bad);
  bad = info;
  bad.protect.assign(format::kRowListMax + 1, RefProtection{"refs/*", true, true, {}});
  refuse(bad);
  bad = info;
  bad.protect.assign(1, RefProtection{"refs/*", true, true, std::vector<std::string>(format::kRowListMax + 1, "u")});
  refuse(bad);
  EXPECT_EQ(store_->find_repository("a/b").value()->hidden_refs.size(), format::kRowListMax);
}

}  // namespace
}  // namespace vexor
