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

}  // namespace
}  // namespace vexor
