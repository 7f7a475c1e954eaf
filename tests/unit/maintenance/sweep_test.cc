// Sweeping: what nothing reaches goes, all else stays, and whatever went can come again.
#include <atomic>
#include <thread>

#include "support/repository_fixtures.h"
#include "vexorstore/snapshot.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

constexpr std::int64_t kDaySeconds = 24LL * 3600;
constexpr std::int64_t kDayMs = kDaySeconds * 1000;

class Sweep : public ClockedRepository {
 protected:
  void drop(const std::string& name, const ObjectId& old, const std::string& ref) { EXPECT_TRUE(run_push(*store_, name, delete_request(old, ref))); }
  std::uint64_t sweep(std::uint64_t retention_seconds = 0, std::uint64_t bytes = 1U << 30U) {
    MaintenanceOptions options = only(MaintenanceTask::kSweep);
    options.policy->sweep_retention_seconds = retention_seconds;
    const auto figures = run_upkeep(*store_, options, bytes);
    EXPECT_TRUE(figures.has_value()) << figures.error().message();
    return figures.has_value() ? figures.value().objects_swept : 0;
  }
  std::size_t indexed() { return family_rows(*backend_, Family::kIndex).size(); }
  bool has(const ObjectId& id) { return family_rows(*backend_, Family::kIndex).contains(format::index_key(id_, id)); }
};

TEST_F(Sweep, nothing_of_a_repository_in_order) {
  EXPECT_EQ(sweep(), 0U);
  expect_sound(*store_, id_);
}

TEST_F(Sweep, a_deleted_branch_goes_and_can_come_again) {
  const std::size_t before = indexed();
  const Push side = make_push(main_, 100, 7, "refs/heads/side", ObjectId::null(kAlgorithm));
  ASSERT_TRUE(run_push(*store_, "a/b", side.request));
  const auto objects = visible_objects(*store_, id_);
  drop("a/b", side.tip, "refs/heads/side");
  const std::string bundle = bundle_of(*store_, id_);
  EXPECT_EQ(sweep(), 9U);
  EXPECT_EQ(indexed(), before);
  EXPECT_FALSE(has(side.tip));
  EXPECT_EQ(bundle_of(*store_, id_), bundle);
  expect_sound(*store_, id_);
  EXPECT_EQ(sweep(), 0U);
  ASSERT_TRUE(run_push(*store_, "a/b", side.request));
  EXPECT_EQ(visible_objects(*store_, id_), objects);
  expect_sound(*store_, id_);
}

TEST_F(Sweep, parts_of_extents_and_large_objects) {
  // One pack of two histories, of which one goes: extents lose objects in the middle, and chunk rows.
  PackBuilder pack;
  std::vector<ObjectId> tips;
  std::string noise(900'000, '\0');
  std::uint32_t state = 1;
  for (char& c : noise) c = static_cast<char>((state = state * 1664525U + 1013904223U) >> 24U);
  std::string trees[2];
  for (int i = 0; i < 60; ++i) {
    char name[16];
    std::snprintf(name, sizeof name, "f%03d", i);
    const ObjectId blob = pack.add(ObjectType::kBlob, i == 30 || i == 31 ? noise + std::to_string(i) : "content " + std::to_string(i));
    trees[i % 2] += std::string("100644 ") + name + std::string(1, '\0') + std::string(blob.raw());
  }
  for (const std::string& tree : trees) {
    const ObjectId tree_id = pack.add(ObjectType::kTree, tree);
    tips.push_back(pack.add(ObjectType::kCommit, "tree " + tree_id.hex() + "\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n"));
  }
  const ObjectId none = ObjectId::null(kAlgorithm);
  ASSERT_TRUE(run_push(*store_, "a/b", push_request(none, tips[0], "refs/heads/even", pack.finish())));
  ASSERT_TRUE(run_push(*store_, "a/b", push_request(none, tips[1], "refs/heads/odd", PackBuilder().finish())) == false);
  EXPECT_EQ(sweep(0, 1), 32U);  // the odd ones were never reached
  for (const auto& [key, value] : family_rows(*backend_, Family::kExtents)) {
    if (key.substr(12) == std::string(4, '\0')) EXPECT_TRUE(format::decode_extent_header(format::number_of_key(key).value(), kAlgorithm, value).has_value());
  }
  expect_sound(*store_, id_);
  reopen();
  ASSERT_TRUE(run_upkeep(*store_, only(MaintenanceTask::kMerge)).has_value());
  expect_sound(*store_, id_);
  const auto bytes_of_a_sweep = [&] { return run_upkeep(*store_, only(MaintenanceTask::kSweep)).value().bytes; };
  EXPECT_EQ(bytes_of_a_sweep(), 0U);  // counting tells that there is nothing
  ASSERT_TRUE(rebuild_derived(*store_).has_value());
  EXPECT_EQ(bytes_of_a_sweep(), 0U);
  expect_sound(*store_, id_);
  push("a/b", "refs/heads/next", main_, 3);
  expect_sound(*store_, id_);
}

TEST_F(Sweep, retention_is_counted_from_the_push_and_from_the_last_ref) {
  const ObjectId side = push("a/b", "refs/heads/side", main_, 3);
  clock_.now_ms += 20 * kDayMs;
  drop("a/b", side, "refs/heads/side");
  clock_.now_ms += kDayMs;
  EXPECT_EQ(sweep(14 * kDaySeconds), 0U);
  clock_.now_ms += 14 * kDayMs;
  EXPECT_EQ(sweep(14 * kDaySeconds), 5U);
  const ObjectId again = push("a/b", "refs/heads/again", main_, 3);
  drop("a/b", again, "refs/heads/again");
  EXPECT_EQ(sweep(14 * kDaySeconds), 0U);
  expect_sound(*store_, id_);
}

// A host that started with a dead clock.
TEST_F(Sweep, one_record_of_a_wrong_time_ends_no_retention) {
  const ObjectId side = push("a/b", "refs/heads/side", main_, 3);
  drop("a/b", side, "refs/heads/side");
  const std::int64_t now_ms = clock_.now_ms;
  clock_.now_ms = 1000;
  push("a/b", "refs/heads/of-1970", main_, 1);
  clock_.now_ms = now_ms + kDayMs;
  push("a/b", "refs/heads/later", main_, 1);
  EXPECT_EQ(sweep(14 * kDaySeconds), 0U);
  EXPECT_TRUE(has(side));
  clock_.now_ms += 15 * kDayMs;
  EXPECT_EQ(sweep(14 * kDaySeconds), 5U);
}

TEST_F(Sweep, hidden_refs_forks_and_deleted_repositories_keep_theirs) {
  const ObjectId hidden = push("a/b", "refs/pull/1", main_, 3);
  RepositoryInfo info = *store_->find_repository("a/b").value();
  info.hidden_refs = {"refs/pull/*"};
  ASSERT_TRUE(store_->update_repository(info, {}).has_value());
  const RepositoryId fork = store_->fork_repository("a/b", "c/fork", {}).value().id;
  const ObjectId theirs = push("c/fork", "refs/heads/theirs", main_, 3);
  EXPECT_EQ(sweep(), 0U);
  ASSERT_TRUE(store_->delete_repository("c/fork", {}).has_value());
  EXPECT_EQ(sweep(), 0U);
  ASSERT_TRUE(store_->restore_repository("c/fork", {}).has_value());
  expect_sound(*store_, fork);
  ASSERT_TRUE(store_->delete_repository("c/fork", {}).has_value());
  ASSERT_TRUE(store_->purge_repository("c/fork", {}).has_value());
  EXPECT_EQ(sweep(), 5U);
  EXPECT_FALSE(has(theirs));
  EXPECT_TRUE(has(hidden));
  expect_sound(*store_, id_);
}

TEST_F(Sweep, bases_of_what_stays_stay_until_it_goes) {
  const std::string base_content(500, 'x');
  PackBuilder base_pack;
  const ObjectId base = base_pack.add(ObjectType::kBlob, base_content);
  const ObjectId none = ObjectId::null(kAlgorithm);
  ASSERT_TRUE(run_push(*store_, "a/b", push_request(none, base, "refs/tags/base", base_pack.finish())));
  PackBuilder thin;
  const ObjectId middle = thin.add_delta(ObjectType::kBlob, base, base_content, base_content + "middle");
  const ObjectId top = thin.add_delta(ObjectType::kBlob, middle, base_content + "middle", base_content + "middle top");
  ASSERT_TRUE(run_push(*store_, "a/b", push_request(none, top, "refs/tags/top", thin.finish())));
  drop("a/b", base, "refs/tags/base");
  EXPECT_EQ(sweep(), 0U);
  EXPECT_TRUE(has(base) && has(middle));
  expect_sound(*store_, id_);
  drop("a/b", top, "refs/tags/top");
  EXPECT_EQ(sweep(), 3U);
  EXPECT_FALSE(has(base) || has(middle) || has(top));
}

TEST_F(Sweep, a_thin_pack_whose_base_goes_while_it_arrives_is_refused) {
  const ObjectId none = ObjectId::null(kAlgorithm);
  const std::string base_content(500, 'x');
  PackBuilder base_pack;
  const ObjectId base = base_pack.add(ObjectType::kBlob, base_content);
  ASSERT_TRUE(run_push(*store_, "a/b", push_request(none, base, "refs/tags/base", base_pack.finish())));
  PackBuilder thin;
  const ObjectId top = thin.add_delta(ObjectType::kBlob, base, base_content, base_content + "top");
  const std::string request = push_request(none, top, "refs/tags/top", thin.finish());
  protocol::ReceivePackOptions options;
  options.stateless = true;
  auto session = protocol::make_receive_pack(*store_, *store_->find_repository("a/b").value(), options).value();
  std::string answer;
  char room[4096];
  std::size_t fed = 0;
  bool swept = false;
  while (session->wants() != protocol::Wants::kDone) {
    switch (session->wants()) {
      case protocol::Wants::kInput:
        if (fed + 4 >= request.size() && !swept) {
          drop("a/b", base, "refs/tags/base");
          EXPECT_EQ(sweep(), 1U);
          swept = true;
        }
        if (fed == request.size()) session->end_of_input();
        else fed += session->feed(Bytes(request).substr(fed, swept ? 1 : 3));
        break;
      case protocol::Wants::kOutput: answer.append(room, session->drain(room)); break;
      case protocol::Wants::kWork: session->run_work(); break;
      case protocol::Wants::kDone: break;
    }
  }
  EXPECT_TRUE(swept);
  EXPECT_EQ(answer.find("unpack ok"), std::string::npos);
  EXPECT_NE(answer.find("try again"), std::string::npos) << answer;
  EXPECT_FALSE(has(top));
  expect_sound(*store_, id_);
}

// A commit that stays only because it is young must not keep a bitmap that builds on one that goes.
TEST_F(Sweep, bitmaps_of_what_stays_unreached_go_first) {
  ASSERT_TRUE(store_->fork_repository("a/b", "c/fork", {}).has_value());
  const Push old = make_push(main_, 500, 40, "refs/heads/x", ObjectId::null(kAlgorithm));
  ASSERT_TRUE(run_push(*store_, "c/fork", old.request));
  clock_.now_ms += 20 * kDayMs;
  const Push young = make_push(old.tip, 501, 2, "refs/heads/x", old.tip);
  ASSERT_TRUE(run_push(*store_, "c/fork", young.request));
  ASSERT_TRUE(store_->delete_repository("c/fork", {}).has_value());
  ASSERT_TRUE(store_->purge_repository("c/fork", {}).has_value());
  EXPECT_EQ(sweep(14 * kDaySeconds), 42U);
  EXPECT_FALSE(has(old.tip));
  EXPECT_TRUE(has(young.tip));
  // The same history comes again, the young commit in the middle of it.
  ASSERT_TRUE(run_push(*store_, "a/b", make_push(main_, 500, 40, "refs/heads/x", ObjectId::null(kAlgorithm)).request));
  ASSERT_TRUE(run_push(*store_, "a/b", young.request));
  const Push next = make_push(young.tip, 502, 2, "refs/heads/x", young.tip);
  ASSERT_TRUE(run_push(*store_, "a/b", next.request));
  expect_sound(*store_, id_);
  reopen();
  expect_sound(*store_, id_);
}

TEST_F(Sweep, pushes_that_use_what_is_being_swept_lose_nothing) {
  constexpr int kThreads = 3;
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const std::string ref = "refs/heads/t" + std::to_string(i);
      const ObjectId none = ObjectId::null(kAlgorithm);
      for (int n = 0; n < 25; ++n) {
        // All threads bring, drop and bring again the same few histories.
        const Push made = make_push(main_, 1000 + n % 4, n % 10 == 9 ? 4100 : 6, ref, none);
        if (!run_push(*store_, "a/b", made.request)) failed.fetch_add(1);
        const auto found = open_snapshot(*store_, id_).value()->find_object(made.tip);
        if (found.has_error() || !found.value()) failed.fetch_add(1);
        if (n < 24 && !run_push(*store_, "a/b", delete_request(made.tip, ref))) failed.fetch_add(1);
      }
    });
  }
  threads.emplace_back([&] {
    while (!stop.load()) {
      const auto fork = store_->fork_repository("a/b", "c/f" + std::to_string(round_++), {});
      if (fork.has_error() || verify_repository(*store_, fork.value().id).value().problem_count != 0) failed.fetch_add(1);
      if (!store_->delete_repository(fork.value().name, {}).has_value() || !store_->purge_repository(fork.value().name, {}).has_value()) failed.fetch_add(1);
    }
  });
  std::thread sweeper([&] {
    MaintenanceOptions options = only(MaintenanceTask::kSweep);
    options.tasks = {MaintenanceTask::kSweep, MaintenanceTask::kMerge};
    while (!stop.load()) {
      if (run_upkeep(*store_, options, 4096).has_error()) failed.fetch_add(1);
    }
  });
  for (int i = 0; i < kThreads; ++i) threads[static_cast<std::size_t>(i)].join();
  stop.store(true);
  threads.back().join();
  sweeper.join();
  EXPECT_EQ(failed.load(), 0);
  EXPECT_GT(maintenance_status(*store_).figures.objects_swept, 0U);
  expect_sound(*store_, id_);
  sweep();
  expect_sound(*store_, id_);
  EXPECT_EQ(indexed(), visible_objects(*store_, id_).size());
}

}  // namespace
}  // namespace vexor
