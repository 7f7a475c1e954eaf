// What a check knows of the objects it looks at.
#include "maintenance/object_table.h"

#include "crypto/object_hasher.h"

#include <gtest/gtest.h>

namespace vexor::maintenance {
namespace {

ObjectId id_of(unsigned number) {
  return hash_object(HashAlgorithm::kSha1, ObjectType::kBlob, std::to_string(number)).value();
}

// Number and base; no base: a whole object.
ObjectTable table_of(const std::vector<std::pair<unsigned, std::optional<unsigned>>>& objects) {
  ObjectTable table(HashAlgorithm::kSha1);
  for (const auto& [number, base] : objects) {
    format::ExtentObject object;
    object.id = id_of(number);
    object.is_delta = base.has_value();
    object.base = base.value_or(format::kNoObject);
    table.add(number, object);
  }
  table.close();
  return table;
}

TEST(ObjectTable, finds_what_was_added_and_nothing_else) {
  std::vector<std::pair<unsigned, std::optional<unsigned>>> objects;
  for (unsigned number = 0; number < 5000; ++number) objects.emplace_back(number * 3, std::nullopt);
  const ObjectTable table = table_of(objects);
  for (unsigned number = 0; number < 5000; ++number) {
    const auto place = table.find(id_of(number * 3).raw());
    ASSERT_TRUE(place.has_value());
    EXPECT_EQ(table.number(*place), number * 3);
    EXPECT_FALSE(table.find(id_of(number * 3 + 1).raw()).has_value());
  }
  EXPECT_FALSE(table_of({}).find(id_of(1).raw()).has_value());
}

TEST(ObjectTable, every_delta_comes_behind_its_base_and_its_family_together) {
  // 7 <- 2 <- 9, 7 <- 4; 5 on 100, which is not here; 1 whole.
  const ObjectTable table = table_of({{1, {}}, {2, 7U}, {4, 7U}, {5, 100U}, {7, {}}, {9, 2U}});
  std::vector<unsigned> numbers;
  for (const auto place : table.family_order()) numbers.push_back(table.number(place));
  EXPECT_EQ(numbers, (std::vector<unsigned>{1, 5, 7, 2, 9, 4}));
}

TEST(ObjectTable, a_ring_of_deltas_is_listed_once) {
  const ObjectTable table = table_of({{1, 2U}, {2, 3U}, {3, 1U}, {4, 4U}});
  auto places = table.family_order();
  std::sort(places.begin(), places.end());
  EXPECT_EQ(places, (std::vector<ObjectTable::Place>{0, 1, 2, 3}));
}

}  // namespace
}  // namespace vexor::maintenance
