// Pushes on several workers end as on one.
#include "common/thread_worker_pool.h"
#include "support/push_builder.h"
#include "vexorstore/maintenance.h"

namespace vexor {
namespace {

using namespace test;

std::string tree_entry(const char* mode, const std::string& name, const ObjectId& id) { return std::string(mode) + " " + name + std::string(1, '\0') + std::string(id.raw()); }

std::unique_ptr<Store> open_with(sys::StorageBackend& backend, sys::WorkerPool* workers, const Limits& limits) {
  StoreOptions options;
  options.workers = workers;
  options.limits = limits;
  return Store::open(std::make_unique<Forwarding>(backend), options).value();
}

// Families of blobs and trees, each a chain and siblings; `large` objects now and then. Families whose number is in
// `bad` end in a tree that is refused.
struct Families {
  ObjectId tip;
  std::string pack;
  Families(int families, int deltas, std::size_t large, const std::vector<int>& bad) {
    PackBuilder pack_builder;
    std::string top;
    for (int family = 0; family < families; ++family) {
      const std::string text(family % 50 == 7 ? large : 300, static_cast<char>('a' + family % 26));
      const std::string start = std::to_string(family) + text;
      const ObjectId root = pack_builder.add(ObjectType::kBlob, start);
      ObjectId at = root;
      std::string content = start;
      for (int i = 0; i < deltas; ++i) {
        const std::string next = start + " and " + std::to_string(i);
        at = i % 3 == 0 ? pack_builder.add_delta(ObjectType::kBlob, root, start, next) : pack_builder.add_delta(ObjectType::kBlob, at, content, next);
        content = next;
      }
      const std::string first_tree = tree_entry("100644", "blob", root);
      const ObjectId first = pack_builder.add(ObjectType::kTree, first_tree + tree_entry("100644", "f" + std::to_string(family), root));
      const bool is_bad = std::find(bad.begin(), bad.end(), family) != bad.end();
      const std::string tree = first_tree + tree_entry("100644", is_bad ? "..": "f" + std::to_string(family), at);
      const ObjectId second = pack_builder.add_delta(ObjectType::kTree, first, first_tree + tree_entry("100644", "f" + std::to_string(family), root), tree);
      char name[16];
      std::snprintf(name, sizeof name, "t%06d", family);
      top += tree_entry("40000", name, second);
    }
    const ObjectId tree = pack_builder.add(ObjectType::kTree, top);
    tip = pack_builder.add(ObjectType::kCommit, "tree " + tree.hex() + "\nauthor A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n\nall\n");
    pack = pack_builder.finish();
  }
};

std::string answer_of(Store& store, const std::string& request) {
  protocol::ReceivePackOptions options;
  options.stateless = true;
  auto session = protocol::make_receive_pack(store, *store.find_repository("a/b").value(), options).value();
  session->feed(request);
  std::string answer(1 << 16, '\0');
  std::size_t size = 0;
  while (session->wants() != protocol::Wants::kDone) {
    if (session->wants() == protocol::Wants::kWork) session->run_work();
    else if (session->wants() == protocol::Wants::kOutput) size += session->drain(std::span(answer).subspan(size));
    else session->end_of_input();
  }
  answer.resize(size);
  return answer;
}

TEST(PushWorkers, all_that_one_worker_makes) {
  const ObjectId none = ObjectId::null(kAlgorithm);
  for (const std::size_t large : {300U, 400'000U}) {  // far above a worker's share of the memory
    const Families families(600, 12, large, {});
    Limits limits;
    limits.ingest_memory_bytes = 1U << 20U;
    std::vector<std::string> blobs;
    for (const unsigned width : {1U, 2U, 5U}) {
      frontend::ThreadWorkerPool workers(width);
      const auto memory = sys::make_memory_backend();
      auto store = open_with(*memory, &workers, limits);
      const RepositoryId id = store->create_repository("a/b", {}, {}).value().id;
      ASSERT_TRUE(run_push(*store, "a/b", push_request(none, families.tip, "refs/heads/main", families.pack))) << width;
      const auto verified = verify_repository(*store, id);
      ASSERT_TRUE(verified.has_value());
      EXPECT_EQ(verified.value().problem_count, 0U) << width;
      ObjectType type{};
      EXPECT_TRUE(store->read_object(id, families.tip, &type).has_value());
    }
  }
}

TEST(PushWorkers, the_first_bad_family_is_told) {
  const ObjectId none = ObjectId::null(kAlgorithm);
  const Families families(700, 8, 300, {90, 91, 300, 301, 302, 303, 650});
  std::string expected;
  for (const unsigned width : {1U, 2U, 3U, 6U}) {
    frontend::ThreadWorkerPool workers(width);
    for (int round = 0; round < 5; ++round) {
      const auto memory = sys::make_memory_backend();
      auto store = open_with(*memory, &workers, {});
      ASSERT_TRUE(store->create_repository("a/b", {}, {}).has_value());
      const std::string answer = answer_of(*store, push_request(none, families.tip, "refs/heads/main", families.pack));
      if (expected.empty()) expected = answer;
      EXPECT_NE(answer.find("hasDotdot"), std::string::npos);
      EXPECT_EQ(answer, expected) << width;
    }
  }
}

// Enough commits that what they add is found on all workers, and bitmaps along the history.
TEST(PushWorkers, a_long_history) {
  const ObjectId none = ObjectId::null(kAlgorithm);
  PackBuilder pack;
  std::optional<ObjectId> tip;
  for (int i = 0; i < 3000; ++i) tip = add_commit(pack, tip, i, 3);
  const std::string bytes = pack.finish();
  frontend::ThreadWorkerPool workers(3);
  const auto memory = sys::make_memory_backend();
  auto store = open_with(*memory, &workers, {});
  const RepositoryId id = store->create_repository("a/b", {}, {}).value().id;
  ASSERT_TRUE(run_push(*store, "a/b", push_request(none, *tip, "refs/heads/main", bytes)));
  EXPECT_EQ(verify_repository(*store, id).value().problem_count, 0U);
  // Again under another name: all is there.
  ASSERT_TRUE(run_push(*store, "a/b", push_request(none, *tip, "refs/heads/other", bytes)));
  EXPECT_EQ(verify_repository(*store, id).value().problem_count, 0U);
}

TEST(ThreadWorkerPool, each_task_once_and_what_it_throws) {
  frontend::ThreadWorkerPool pool(4);
  EXPECT_EQ(pool.width(), 4U);
  for (unsigned count : {0U, 1U, 3U, 100U}) {
    std::vector<std::atomic<int>> calls(count);
    pool.run(count, [&](unsigned i) { calls[i].fetch_add(1); });
    for (const auto& call : calls) EXPECT_EQ(call.load(), 1);
  }
  std::atomic<int> done{0};
  EXPECT_THROW(pool.run(20,
                        [&](unsigned i) {
                          done.fetch_add(1);
                          if (i == 7) std::rethrow_exception(std::make_exception_ptr(std::runtime_error("seven")));
                        }),
               std::runtime_error);
  EXPECT_EQ(done.load(), 20);
}

}  // namespace
}  // namespace vexor
