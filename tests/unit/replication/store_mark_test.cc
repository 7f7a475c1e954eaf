// The mark of a store: docs/format/mark.md.
#include "replication/host/store_mark.h"

#include <gtest/gtest.h>

#include <fstream>

#include "replication/host/store_note.h"
#include "support/scratch_directory.h"
#include "support/vector_test.h"

namespace vexor::replication {
namespace {

using test::ScratchDirectory;

Mark mark_at(Sequence sequence, Epoch promise) {
  Mark out;
  out.last.sequence = sequence;
  out.last.hash[0] = static_cast<std::uint8_t>(sequence);
  out.promise = promise;
  return out;
}

void flip(const std::filesystem::path& file, std::streamoff place) {
  std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
  out.seekg(place);
  const char octet = static_cast<char>(out.get() ^ 1);
  out.seekp(place);
  out.put(octet);
}

TEST(StoreMark, is_as_its_page_says) {
  for (const test::Vector& vector : test::family_vectors("mark")) {
    if (vector.name == "a_name") {
      EXPECT_EQ(to_hex(encode_store_name(vector.number("store_name"))), to_hex(vector.bytes));
      continue;
    }
    Mark mark;
    mark.last.sequence = vector.number("sequence");
    mark.promise = vector.number("promise");
    EXPECT_EQ(to_hex(encode_mark_slot(vector.number("generation"), mark)), to_hex(vector.bytes));
  }
}

TEST(StoreMark, the_latest_that_was_written_is_read) {
  const ScratchDirectory at;
  EXPECT_FALSE(StoreMark::read(at.path()).value());
  const auto mark = StoreMark::open(at.path(), mark_at(0, 0)).value();
  EXPECT_EQ(StoreMark::read(at.path()).value(), mark_at(0, 0));
  for (Sequence sequence = 1; sequence < 5; ++sequence) {
    ASSERT_TRUE(mark->write(mark_at(sequence, 7)).has_value());
    EXPECT_EQ(StoreMark::read(at.path()).value(), mark_at(sequence, 7));
  }
  ASSERT_TRUE(mark->sync().has_value());
  // Goes on where it was, in the slot that is older.
  const auto again = StoreMark::open(at.path(), mark_at(0, 0)).value();
  ASSERT_TRUE(again->write(mark_at(3, 8)).has_value());  // lower, and later
  EXPECT_EQ(StoreMark::read(at.path()).value(), mark_at(3, 8));
}

TEST(StoreMark, one_damaged_slot_leaves_the_other_and_two_are_damage) {
  const ScratchDirectory at;
  const auto mark = StoreMark::open(at.path(), mark_at(1, 1)).value();
  ASSERT_TRUE(mark->write(mark_at(2, 1)).has_value());  // generation 3: the first slot
  for (int octet = 0; octet < 65; ++octet) {
    flip(at.path() / StoreMark::kFileName, octet);
    EXPECT_EQ(StoreMark::read(at.path()).value(), mark_at(1, 1)) << octet;
    flip(at.path() / StoreMark::kFileName, octet);
    EXPECT_EQ(StoreMark::read(at.path()).value(), mark_at(2, 1)) << octet;
  }
  flip(at.path() / StoreMark::kFileName, 20);
  flip(at.path() / StoreMark::kFileName, 512 + 20);
  EXPECT_EQ(StoreMark::read(at.path()).error().code(), Errc::kCorrupt);
  std::filesystem::resize_file(at.path() / StoreMark::kFileName, 0);
  EXPECT_EQ(StoreMark::read(at.path()).error().code(), Errc::kCorrupt);
}

StoreName name_of(const std::filesystem::path& store) { return StoreMark::open(store, mark_at(0, 0)).value()->name(); }

TEST(StoreMark, a_name_is_drawn_once) {
  const ScratchDirectory at, other;
  const StoreName name = name_of(at.path());
  EXPECT_NE(name, 0U);
  EXPECT_EQ(name_of(at.path()), name);
  EXPECT_NE(name_of(other.path()), name);
  const auto mark = StoreMark::open(at.path(), mark_at(0, 0), 77).value();
  for (Sequence sequence = 1; sequence < 4; ++sequence) ASSERT_TRUE(mark->write(mark_at(sequence, 7)).has_value());
  ASSERT_TRUE(mark->probe().has_value());
  EXPECT_EQ(mark->name(), name) << "a store that has one keeps it";
  EXPECT_EQ(name_of(at.path()), name);
  EXPECT_EQ(StoreMark::read(at.path()).value(), mark_at(3, 7));
}

TEST(StoreMark, a_file_of_before_names_gets_one_and_keeps_its_slots) {
  const ScratchDirectory at;
  ASSERT_TRUE(StoreMark::open(at.path(), mark_at(5, 2)).has_value());
  for (const std::uintmax_t bytes : {std::uintmax_t{1024}, std::uintmax_t{1030}}) {  // none; one that was torn
    std::filesystem::resize_file(at.path() / StoreMark::kFileName, bytes);
    EXPECT_EQ(StoreMark::read(at.path()).value(), mark_at(5, 2));
    const StoreName name = name_of(at.path());
    EXPECT_NE(name, 0U);
    EXPECT_EQ(name_of(at.path()), name);
    EXPECT_EQ(StoreMark::read(at.path()).value(), mark_at(5, 2));
  }
}

TEST(StoreMark, a_name_that_cannot_be_read_becomes_another) {
  const ScratchDirectory at;
  StoreName name = name_of(at.path());
  for (int octet = 0; octet < 17; ++octet) {
    flip(at.path() / StoreMark::kFileName, 1024 + octet);
    const StoreName next = name_of(at.path());
    EXPECT_NE(next, name) << octet;
    EXPECT_NE(next, 0U) << octet;
    name = next;
  }
}

TEST(StoreMark, a_name_can_be_given_to_a_store_that_has_none) {
  const ScratchDirectory at;
  EXPECT_EQ(StoreMark::open(at.path(), mark_at(1, 1), 77).value()->name(), 77U);
  EXPECT_EQ(name_of(at.path()), 77U);
}

TEST(StoreMark, a_probe_writes_what_was_there) {
  const ScratchDirectory at;
  const auto mark = StoreMark::open(at.path(), mark_at(1, 1)).value();
  ASSERT_TRUE(mark->write(mark_at(7, 3)).has_value());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(mark->probe().has_value());
    EXPECT_EQ(StoreMark::read(at.path()).value(), mark_at(7, 3));
  }
}

TEST(StoreNote, says_why) {
  const ScratchDirectory at;
  EXPECT_FALSE(noted_damage(at.path()));
  ASSERT_TRUE(note_damage(at.path() / "store", "a reason").has_value());
  EXPECT_EQ(noted_damage(at.path() / "store"), "a reason");
}

}  // namespace
}  // namespace vexor::replication
