// Rows ahead of their records at a member whose primary changes.
#include "replication/host/rows_shelf.h"

#include "support/replica_pair.h"
#include "support/upkeep.h"

namespace vexor {
namespace {

using namespace test;
using replication::RowsShelf;

const ObjectId kNone = ObjectId::null(kAlgorithm);

void take(RowsShelf& shelf, const ReplicaLog& from, const LogEntry& entry, RowsShelf::Taking& taking) {
  const auto reader = from.read_rows(entry.position.sequence);
  ASSERT_TRUE(reader.has_value());
  for (;;) {
    const auto piece = reader.value()->next();
    ASSERT_TRUE(piece.has_value());
    if (piece.value().empty()) break;
    ASSERT_TRUE(shelf.add(taking, piece.value()).has_value());
  }
  ASSERT_TRUE(shelf.finish(taking).has_value());
}

// The same push comes again by the new primary, under the same numbers, before the call of the old one, which was stopped, ends.
TEST(RowsShelf, a_transfer_of_an_earlier_primary_takes_nothing_with_it) {
  Member primary;
  Member member;
  ASSERT_TRUE(primary.log->lead(1, primary.sink).has_value());
  replicate(primary, {&member}, [&] { ASSERT_TRUE(primary.store->create_repository("a/b", {}, {}).has_value()); });
  replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", make_push(std::nullopt, 1, 4100, "refs/heads/large", kNone).request)); });
  const LogEntry entry = primary.sink.wait_for(2);
  const std::string range = range_of_record(entry.record).value();
  RowsShelf shelf(*member.log);
  auto first = shelf.begin(range, member.log->reign());
  ASSERT_TRUE(first.has_value());
  take(shelf, *primary.log, entry, *first.value());
  shelf.clear();
  ASSERT_TRUE(member.log->follow().has_value());
  auto second = shelf.begin(range, member.log->reign());
  ASSERT_TRUE(second.has_value()) << second.error().message();
  take(shelf, *primary.log, entry, *second.value());
  shelf.end(std::move(first).value());
  EXPECT_TRUE(member.log->claim_rows(entry.record));
  shelf.end(std::move(second).value());
  ASSERT_TRUE(member.log->append({entry}).has_value());
  ASSERT_TRUE(member.log->apply(2).has_value());
  expect_sound(*member.store, 1);
}

}  // namespace
}  // namespace vexor
