// Repositories and accounts: ids, settings.
#include <gtest/gtest.h>

#include <thread>

#include "format/keys.h"
#include "format/state_rows.h"
#include "store/repository_changes.h"
#include "support/push_builder.h"
#include "support/upkeep.h"
#include "vexorstore/settings.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

class Repositories : public testing::Test {
 protected:
  Repositories() : backend_(sys::make_memory_backend()) { reopen(); }
  void reopen(const Limits& limits = {}) {
    store_.reset();
    StoreOptions options;
    options.limits = limits;
    store_ = Store::open(std::make_unique<Forwarding>(*backend_), std::move(options)).value();
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

// A purge that looked before would take the objects of a repository that was restored as a new one meanwhile.
TEST_F(Repositories, a_purge_waits_for_who_makes_another_repository_of_the_pool) {
  const auto made = store_->create_repository("a/gone", {}, {}).value();
  const Push push = make_push(std::nullopt, 0, 3, "refs/heads/main", ObjectId::null(kAlgorithm));
  ASSERT_TRUE(run_push(*store_, "a/gone", push.request));
  ASSERT_TRUE(store_->delete_repository("a/gone", {}).has_value());
  format::RepositoryRow row = store::open_repository_snapshot(store_->core(), made.id).value().row;
  std::thread purge;
  {
    const store::PoolGate::Pass pass(store_->core().gate(row.pool), false);
    purge = std::thread([&] { EXPECT_TRUE(store_->purge_repository("a/gone", {}).has_value()); });
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // a purge that does not wait is over by then
    row.number = store_->core().next_id();
    row.name = "a/new";
    row.deleted_at_ms = 0;
    row.deleted_name.clear();
    store::Change change;
    change.record.kind = format::OperationKind::kRepositoryCreate;
    change.record.repository = row.number;
    store::new_rows(change, row);
    EXPECT_TRUE(store_->core().committer->submit(std::move(change)).has_value());
  }
  purge.join();
  EXPECT_FALSE(family_rows(*backend_, Family::kExtents).empty());
  EXPECT_EQ(store_->find_repository("a/new").value()->id, row.number);
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

// Each is tried on each ref of a push.
TEST_F(Repositories, patterns_are_bounded_and_what_is_there_above_stays_and_may_shrink) {
  Limits limits;
  limits.protect_rules_max = 2 * Limits().protect_rules_max;
  limits.protect_bytes_max = 2 * Limits().protect_bytes_max;
  reopen(limits);
  ASSERT_TRUE(store_->create_repository("a/b", {}, {}).has_value());
  const auto set = [&](auto edit) {
    const auto done = change_repository(*store_, "a/b", [&](RepositoryInfo& info) -> Result<void> {
      edit(info);
      return success();
    }, {});
    return done.has_value() ? std::string() : std::string(done.error().message());
  };
  const auto rule = [](std::size_t number, std::size_t bytes = 20) {
    std::string pattern = "refs/heads/" + std::to_string(number);
    pattern.resize(bytes, '*');
    return RefProtection{pattern, true, true, {}};
  };
  const auto add = [&](const RefProtection& added) { return set([&](RepositoryInfo& info) { info.protect.push_back(added); }); };
  EXPECT_EQ(add(rule(0, kRefNameBytesMax + 1)), "bytes of a pattern 1025 over 1024");
  EXPECT_EQ(set([](RepositoryInfo& info) { info.hidden_refs.emplace_back(kRefNameBytesMax + 1, 'r'); }), "bytes of a pattern 1025 over 1024");
  for (std::size_t i = 0; i < limits.protect_rules_max; ++i) ASSERT_EQ(add(rule(i)), "");
  EXPECT_EQ(add(rule(limits.protect_rules_max)), "protect rules of a repository 201 over 200");
  reopen();
  EXPECT_EQ(add(rule(1000)), "protect rules of a repository 201 over 100");
  EXPECT_EQ(set([&](RepositoryInfo& info) { info.protect.front() = rule(1000); }), "") << "not more than before";
  EXPECT_EQ(set([](RepositoryInfo& info) { info.description = "other settings"; }), "");
  EXPECT_EQ(set([](RepositoryInfo& info) { info.protect.resize(150); }), "");
  EXPECT_EQ(add(rule(1001)), "protect rules of a repository 151 over 100");
  EXPECT_EQ(set([](RepositoryInfo& info) { info.protect.resize(99); }), "");
  EXPECT_EQ(add(rule(1002)), "");
  EXPECT_EQ(add(rule(1003)), "protect rules of a repository 101 over 100");
  ASSERT_EQ(set([](RepositoryInfo& info) { info.protect.clear(); }), "");
  for (std::size_t i = 0; i < 64; ++i) ASSERT_EQ(add(rule(i, 1024)), "");
  EXPECT_EQ(add(rule(64)), "bytes of a repository's protect rules 65556 over 65536");
  EXPECT_EQ(set([](RepositoryInfo& info) { info.protect.front().only_users.emplace_back("ann"); }), "bytes of a repository's protect rules 65539 over 65536");
  limits.protect_bytes_max = 1000;
  reopen(limits);
  EXPECT_EQ(set([](RepositoryInfo& info) { info.protect.pop_back(); }), "");
  EXPECT_EQ(add(rule(64, 1024)), "bytes of a repository's protect rules 65536 over 1000");
  EXPECT_EQ(store_->find_repository("a/b").value()->protect.size(), 63U);
}

TEST_F(Repositories, settings_that_are_changed_at_once_are_all_kept) {
  CreateOptions options;
  options.is_public = true;
  ASSERT_TRUE(store_->create_repository("a/b", options, {}).has_value());
  int runs = 0;
  const auto hide = [&](RepositoryInfo& info) -> Result<void> {
    if (++runs == 1) {
      const auto close = [](RepositoryInfo& other) -> Result<void> {
        other.is_public = false;
        return success();
      };
      EXPECT_TRUE(change_repository(*store_, "a/b", close, {}).has_value());
    }
    info.hidden_refs.push_back("refs/x/*");
    return success();
  };
  ASSERT_TRUE(change_repository(*store_, "a/b", hide, {}).has_value());
  EXPECT_EQ(runs, 2);
  const auto now = store_->find_repository("a/b").value();
  EXPECT_FALSE(now->is_public);
  EXPECT_EQ(now->hidden_refs, std::vector<std::string>{"refs/x/*"});
  const auto refuse = [](RepositoryInfo&) -> Result<void> { return Error(Errc::kRefused, "no"); };
  EXPECT_EQ(change_repository(*store_, "a/b", refuse, {}).error().code(), Errc::kRefused);
}

// A repair that was broken off has erased what is derived from extents.
TEST_F(Repositories, numbers_of_extents_without_shapes_are_not_given_out) {
  const auto id = store_->create_repository("a/b", {}, {}).value().id;
  ASSERT_TRUE(run_push(*store_, "a/b", make_push(std::nullopt, 0, 5, "refs/heads/main", ObjectId::null(kAlgorithm)).request));
  const auto pool = store::open_repository_snapshot(store_->core(), id).value().row.pool;
  const auto before = store_->core().numbers.reserve(store_->core(), pool, 1).value();
  sys::Batch batch;
  batch.erase_range(sys::Family::kShapes, format::pool_key(pool), format::pool_key(pool + 1));
  ASSERT_TRUE(backend_->commit(batch, sys::Durability::kSynced).has_value());
  reopen();
  EXPECT_EQ(store_->core().numbers.reserve(store_->core(), pool, 1).value(), before);
}

// Nobody could read it again.
TEST_F(Repositories, a_record_over_the_limit_is_not_written) {
  ASSERT_TRUE(store_->create_repository("a/b", {}, {}).has_value());
  store::Change change;
  change.record.changes.push_back({sys::Family::kGrants, "key", std::string(format::kJournalRecordBytesMax, 'v')});
  EXPECT_EQ(store_->core().committer->submit(std::move(change)).error().code(), Errc::kLimitExceeded);
  store::Change many;
  many.record.changes.resize(format::kJournalItemsMax + 1);
  EXPECT_EQ(store_->core().committer->submit(std::move(many)).error().code(), Errc::kLimitExceeded);
  EXPECT_TRUE(store_->create_repository("a/c", {}, {}).has_value());
  EXPECT_EQ(store_->last_sequence(), 2U);
}

TEST_F(Repositories, a_change_gives_its_receipt_and_one_that_failed_gives_none) {
  std::uint64_t before = 0;
  const auto check = [&](const char* what, const std::function<bool(Receipt*)>& change) {
    Receipt receipt;
    EXPECT_TRUE(change(&receipt)) << what;
    EXPECT_EQ(receipt.sequence, store_->last_sequence()) << what;
    EXPECT_GT(receipt.sequence, before) << what;
    EXPECT_EQ(receipt.servers, 1U) << what;
    before = receipt.sequence;
  };
  const auto hide = [](RepositoryInfo& info) -> Result<void> {
    info.hidden_refs.emplace_back("refs/pull/*");
    return success();
  };
  const std::string key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a";
  check("create", [&](Receipt* to) { return store_->create_repository("a/b", {}, {}, to).has_value(); });
  check("fork", [&](Receipt* to) { return store_->fork_repository("a/b", "a/c", {}, to).has_value(); });
  check("rename", [&](Receipt* to) { return store_->rename_repository("a/c", "a/d", {}, to).has_value(); });
  check("settings", [&](Receipt* to) { return change_repository(*store_, "a/d", hide, {}, to).has_value(); });
  check("delete", [&](Receipt* to) { return store_->delete_repository("a/d", {}, to).has_value(); });
  check("restore", [&](Receipt* to) { return store_->restore_repository("a/d", {}, to).has_value(); });
  check("account", [&](Receipt* to) { return store_->create_account("ann", "correct horse battery", {}, to).has_value(); });
  check("password", [&](Receipt* to) { return store_->set_password("ann", "battery horse correct", {}, to).has_value(); });
  check("disable", [&](Receipt* to) { return store_->set_disabled("ann", true, {}, to).has_value(); });
  check("grant", [&](Receipt* to) { return store_->grant("a/b", "ann", Permission::kRead, {}, to).has_value(); });
  std::string fingerprint;
  check("key", [&](Receipt* to) {
    const auto added = store_->add_key("ann", key, {}, to);
    if (added.has_value()) fingerprint = added.value().fingerprint;
    return added.has_value();
  });
  check("key removed", [&](Receipt* to) { return store_->remove_key(fingerprint, {}, to).has_value(); });
  Receipt none;
  EXPECT_FALSE(store_->create_repository("a/b", {}, {}, &none).has_value());
  EXPECT_EQ(none.sequence, 0U);
}

}  // namespace
}  // namespace vexor
