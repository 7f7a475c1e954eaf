// The record in the coordinator, and an answer on the wire: with names of stores, and as older releases wrote them (N5).
#include "replication/transport/record_json.h"

#include <gtest/gtest.h>

#include "replication/limits.h"
#include "replication/transport/wire.h"

namespace vexor::replication {
namespace {

Record some_record() {
  Record out;
  out.epoch = 4;
  out.primary = 1;
  out.primary_incarnation = 7;
  out.in_sync = {1, 2};
  out.members = {{1, Role::kStandby, "a:1"}, {2, Role::kStandby, "b:1"}, {3, Role::kOffsite, "c:1"}};
  return out;
}

TEST(RecordJson, keeps_the_names_of_stores) {
  Record record = some_record();
  record.in_sync = {{1, 0}, {2, ~StoreName{0}}};
  const std::string json = to_json(record);
  EXPECT_NE(json.find(R"("inSync":["1","2"])"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("inSyncNames":["0","18446744073709551615"])"), std::string::npos) << json;
  EXPECT_EQ(record_from_json(json).value(), record);
}

TEST(RecordJson, without_names_is_as_older_releases_write_and_read_it) {
  const std::string json = to_json(some_record());
  EXPECT_EQ(json.find("Names"), std::string::npos) << json;
  EXPECT_EQ(record_from_json(json).value(), some_record());
  const auto old = record_from_json(R"({"epoch":"4","primary":"1","inSync":["1","2"],"members":[{"id":"1"},{"id":"2"}],"copies":"two"})");
  ASSERT_TRUE(old.has_value());
  EXPECT_EQ(old.value().in_sync, (std::vector<InSync>{{1, 0}, {2, 0}}));
  EXPECT_FALSE(old.value().has_names());
}

TEST(RecordJson, refuses_more_or_fewer_names_than_stores) {
  for (const char* names : {R"(["5"])", R"(["5","6","7"])"}) {
    const auto taken = record_from_json(std::string(R"({"epoch":"4","primary":"1","inSync":["1","2"],"copies":"two","inSyncNames":)") + names + "}");
    ASSERT_TRUE(taken.has_error());
    EXPECT_EQ(taken.error().code(), Errc::kCorrupt);
  }
}

// What the rules may make of members that join and are removed can be read.
TEST(RecordJson, has_room_for_all_that_a_sound_record_may_hold) {
  Record record = some_record();
  while (record.in_sync.size() < kInSyncMax) record.in_sync.push_back({100 + record.in_sync.size()});
  ASSERT_TRUE(record.sound());
  const auto taken = record_from_json(to_json(record));
  ASSERT_TRUE(taken.has_value()) << taken.error().message();
  EXPECT_EQ(taken.value(), record);
  record.in_sync.push_back({99});
  EXPECT_FALSE(record.sound());
  EXPECT_TRUE(record_from_json(to_json(record)).has_error());
}

TEST(Wire, an_answer_tells_the_name_of_the_store) {
  AppendAnswer told;
  told.epoch = 4;
  told.store = 0x8000000000000001;
  EXPECT_EQ(std::get<AppendAnswer>(from_wire(to_wire(told)).value()).store, told.store);
  peer::Envelope old = to_wire(told);
  old.mutable_append_answer()->clear_store();
  EXPECT_EQ(std::get<AppendAnswer>(from_wire(old).value()).store, 0U);
}

TEST(Wire, a_record_that_is_handed_over_keeps_the_names) {
  Handover told{{9, some_record()}};
  told.record.record.in_sync = {{1, 11}, {2, 12}};
  EXPECT_EQ(std::get<Handover>(from_wire(to_wire(told)).value()).record.record, told.record.record);
}

}  // namespace
}  // namespace vexor::replication
