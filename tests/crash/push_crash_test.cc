// Every changing storage operation of a push fails once, before and after it happened; the store is
// opened again and must hold every acknowledged push, no ref to a missing object, and no bytes of
// what did not happen.
#include <gtest/gtest.h>

#include "crypto/object_hasher.h"
#include "pack/reachability.h"
#include "support/push_builder.h"
#include "vexorstore/sys/fault_backend.h"

namespace vexor {
namespace {

using namespace test;

// All refs must be walkable from stored rows alone.
void check_complete(Store& store, RepositoryId id) {
  auto snapshot = store::open_repository_snapshot(store.core(), id).value();
  pack::ObjectReader reader(snapshot.snapshot, snapshot.row.pool, snapshot.row.algorithm, Limits{});
  pack::StoreSource source(store.core(), reader);
  const auto refs = store::read_refs(snapshot).value();
  for (const auto& ref : refs) {
    if (!ref.row.symref_target.empty()) continue;
    const auto stored = source.stored_set(ref.row.number);
    ASSERT_TRUE(stored.has_value() && stored.value()) << ref.name;
    for (const std::uint32_t number : *stored.value()) {
      const auto content = reader.read(number);
      ASSERT_TRUE(content.has_value()) << ref.name << ": " << content.error().message();
      const auto entry = reader.entry(number);
      EXPECT_EQ(hash_object(kAlgorithm, entry.value().object.type, *content.value()).value(), entry.value().object.id);
    }
  }
}

void attack(int blobs, sys::FaultBackend::Mode mode) {
  const ObjectId none = ObjectId::null(kAlgorithm);
  for (std::uint64_t n = 1;; ++n) {
    SCOPED_TRACE("operation " + std::to_string(n));
    const auto memory = sys::make_memory_backend();
    sys::FaultBackend faulty(*memory);
    auto store = open(faulty);
    ASSERT_TRUE(store->create_repository("a/b", {}, {}).has_value());
    const Push first = make_push(std::nullopt, 1, 3, "refs/heads/main", none);
    ASSERT_TRUE(run_push(*store, "a/b", first.request));
    const std::uint64_t before = memory->approximate_bytes(sys::Family::kExtents) + memory->approximate_bytes(sys::Family::kIndex);

    faulty.fail_at(n, mode);
    const Push second = make_push(first.tip, 2, blobs, "refs/heads/main", first.tip);
    const bool acknowledged = run_push(*store, "a/b", second.request);
    const bool failed = faulty.has_failed();
    faulty.fail_at(0, mode);

    store = open(*memory);
    const RepositoryInfo info = *store->find_repository("a/b").value();
    check_complete(*store, info.id);
    const auto refs = store->list_refs(info.id).value();
    ObjectId head;
    for (const RefInfo& ref : refs) {
      if (ref.name == "refs/heads/main") head = ref.id;
    }
    if (acknowledged) {
      EXPECT_EQ(head, second.tip);
    } else {
      EXPECT_TRUE(head == first.tip || head == second.tip);
    }
    if (head == first.tip) {
      EXPECT_EQ(memory->approximate_bytes(sys::Family::kExtents) + memory->approximate_bytes(sys::Family::kIndex), before);
      EXPECT_TRUE(run_push(*store, "a/b", second.request));  // and the push works when repeated
      check_complete(*store, info.id);
    }
    if (!failed) break;  // n is past the last operation
    ASSERT_LT(n, 100U);
  }
}

TEST(PushCrash, small_push_at_every_operation) {
  attack(3, sys::FaultBackend::Mode::kBefore);
  attack(3, sys::FaultBackend::Mode::kAfter);
}

TEST(PushCrash, bulk_push_at_every_operation) {
  attack(4500, sys::FaultBackend::Mode::kBefore);
  attack(4500, sys::FaultBackend::Mode::kAfter);
}

TEST(PushCrash, pack_cut_at_many_bytes_leaves_nothing) {
  const ObjectId none = ObjectId::null(kAlgorithm);
  const auto memory = sys::make_memory_backend();
  auto store = open(*memory);
  ASSERT_TRUE(store->create_repository("a/b", {}, {}).has_value());
  const Push push = make_push(std::nullopt, 1, 3, "refs/heads/main", none);
  for (std::size_t cut = 0; cut < push.request.size(); ++cut) {
    EXPECT_FALSE(run_push(*store, "a/b", push.request.substr(0, cut))) << cut;
  }
  EXPECT_EQ(memory->approximate_bytes(sys::Family::kExtents), 0U);
  EXPECT_TRUE(run_push(*store, "a/b", push.request));
}

TEST(PushCrash, a_flipped_bit_anywhere_is_refused) {
  const ObjectId none = ObjectId::null(kAlgorithm);
  const auto memory = sys::make_memory_backend();
  auto store = open(*memory);
  ASSERT_TRUE(store->create_repository("a/b", {}, {}).has_value());
  const Push push = make_push(std::nullopt, 1, 3, "refs/heads/main", none);
  const std::size_t pack = push.request.find("PACK");
  for (std::size_t at = pack; at < push.request.size(); ++at) {
    std::string bad = push.request;
    bad[at] = static_cast<char>(bad[at] ^ 4);
    EXPECT_FALSE(run_push(*store, "a/b", bad)) << at;
  }
  EXPECT_EQ(memory->approximate_bytes(sys::Family::kExtents), 0U);
}

TEST(Visibility, a_fork_does_not_lend_its_objects) {
  const ObjectId none = ObjectId::null(kAlgorithm);
  const auto memory = sys::make_memory_backend();
  auto store = open(*memory);
  ASSERT_TRUE(store->create_repository("a/b", {}, {}).has_value());
  const Push base = make_push(std::nullopt, 1, 3, "refs/heads/main", none);
  ASSERT_TRUE(run_push(*store, "a/b", base.request));
  ASSERT_TRUE(store->fork_repository("a/b", "c/b", {}).has_value());
  const Push secret = make_push(base.tip, 2, 3, "refs/heads/secret", none);
  ASSERT_TRUE(run_push(*store, "c/b", secret.request));
  // The original names the fork's commit without sending it: it must count as missing.
  std::string request;
  format::append_pkt_line(request, none.hex() + " " + secret.tip.hex() + " refs/heads/stolen" + std::string(1, '\0') + " report-status");
  format::append_flush(request);
  EXPECT_FALSE(run_push(*store, "a/b", request + PackBuilder().finish()));
  // Nor does a commit on top of it lend it.
  const Push child = make_push(secret.tip, 3, 1, "refs/heads/stolen", none);
  EXPECT_FALSE(run_push(*store, "a/b", child.request));
  // Who has the objects may push them: they are stored once and seen by both.
  EXPECT_TRUE(run_push(*store, "a/b", make_push(base.tip, 2, 3, "refs/heads/shared", none).request));
  check_complete(*store, store->find_repository("a/b").value()->id);
}

}  // namespace
}  // namespace vexor
