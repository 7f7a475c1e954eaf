// Thin packs whose deltas name their bases by id, one upon the other, in any order of these ids.
#include "support/push_builder.h"
#include "vexorstore/maintenance.h"

namespace vexor {
namespace {

using namespace test;

TEST(ThinPack, chains_by_id_upon_a_stored_base) {
  const ObjectId none = ObjectId::null(kAlgorithm);
  for (int variant = 0; variant < 16; ++variant) {
    const auto memory = sys::make_memory_backend();
    auto store = open(*memory);
    const RepositoryId id = store->create_repository("a/b", {}, {}).value().id;
    const std::string content(300, static_cast<char>('a' + variant));
    PackBuilder first;
    const ObjectId base = first.add(ObjectType::kBlob, content);
    ASSERT_TRUE(run_push(*store, "a/b", push_request(none, base, "refs/tags/base", first.finish())));
    PackBuilder thin;
    ObjectId at = base;
    std::string text = content;
    for (int i = 0; i < 5; ++i) {
      const std::string next = text + " and " + std::to_string(i);
      at = thin.add_delta(ObjectType::kBlob, at, text, next);
      text = next;
    }
    ASSERT_TRUE(run_push(*store, "a/b", push_request(none, at, "refs/tags/top", thin.finish()))) << variant;
    EXPECT_EQ(verify_repository(*store, id).value().problem_count, 0U);
    // With a base that nobody has, and with deltas upon each other's results that cannot be.
    PackBuilder lost;
    lost.add_delta(ObjectType::kBlob, hash_object(kAlgorithm, ObjectType::kBlob, "nobody's").value(), "nobody's", "nothing");
    lost.add_delta(ObjectType::kBlob, base, content, content + "more");
    EXPECT_FALSE(run_push(*store, "a/b", push_request(none, base, "refs/tags/lost", lost.finish())));
  }
}

// As at a member that rewrites no deltas, while the primary does: what is pushed lies upon what was pushed before, however short the chains
// of the primary are.
TEST(ThinPack, a_chain_of_any_length_is_read) {
  constexpr int kVersions = 3000;
  const ObjectId none = ObjectId::null(kAlgorithm);
  const auto memory = sys::make_memory_backend();
  ObjectId top;
  std::string text(300, 'x');
  {
    auto store = open(*memory);
    ASSERT_TRUE(store->create_repository("a/b", {}, {}).has_value());
    PackBuilder pack;
    top = pack.add(ObjectType::kBlob, text);
    for (int i = 0; i < kVersions; ++i) {
      std::string next = text;
      next.replace(0, 4, std::to_string(1000 + i % 9000));
      top = pack.add_delta(ObjectType::kBlob, top, text, next);
      text = std::move(next);
    }
    ASSERT_TRUE(run_push(*store, "a/b", push_request(none, top, "refs/tags/top", pack.finish())));
  }
  StoreOptions options;
  options.limits.delta_depth_max = 1;
  auto store = std::move(Store::open(std::make_unique<Forwarding>(*memory), options)).value();
  const auto content = store->read_object(1, top, nullptr);
  ASSERT_TRUE(content.has_value()) << content.error().message();
  EXPECT_EQ(verify_repository(*store, 1).value().problem_count, 0U);
}

}  // namespace
}  // namespace vexor
