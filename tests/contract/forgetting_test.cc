// sys/forgetting.h as code, for the backend that keeps files: no octet of what was erased is left in any of them.
#include "vexorstore/sys/forgetting.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "support/scratch_directory.h"
#include "vexorstore/sys/backends.h"

namespace vexor::sys {
namespace {

const std::string kMark = "7f3kQz0LwP9s";

class ForgettingFiles : public testing::Test {
 protected:
  // Names of the files that hold the mark.
  std::string files_with_mark() {
    std::string out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      const std::string content((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
      if (content.find(kMark) != std::string::npos) out += entry.path().filename().string() + " ";
    }
    return out;
  }
  void compact() {
    std::string position;
    for (bool more = true; more;) {
      std::uint64_t bytes = 1U << 20U;
      const auto done = backend_->compact(Family::kRefs, "a", "z", position, bytes);
      ASSERT_TRUE(done.has_value()) << done.error().message();
      more = done.value();
    }
  }
  bool forget(std::uint64_t& moment) {
    const auto done = dynamic_cast<Forgetting&>(*backend_).forget(moment);
    EXPECT_TRUE(done.has_value()) << done.error().message();
    return done.has_value() && done.value();
  }
  // Whoever removes files does so beside the caller.
  bool forget_in_time(std::uint64_t moment = 0) {
    for (int i = 0; i < 100; ++i) {
      if (forget(moment)) return true;
      ::usleep(50'000);
    }
    return false;
  }
  std::string read(Bytes key) {
    const auto snapshot = backend_->snapshot();
    if (snapshot.has_error()) return snapshot.error().message();
    const auto row = snapshot.value()->get(Family::kRefs, key);
    if (row.has_error()) return row.error().message();
    return row.value() ? std::string(row.value()->bytes()) : "(none)";
  }
  void put_and_erase() {
    Batch put;
    put.put(Family::kRefs, "k" + kMark, kMark);
    put.put(Family::kRefs, "l", "stays");
    ASSERT_TRUE(backend_->commit(put, Durability::kSynced).has_value());
    compact();
    reader_ = backend_->snapshot().value();
    Batch erase;
    erase.erase(Family::kRefs, "k" + kMark);
    ASSERT_TRUE(backend_->commit(erase, Durability::kSynced).has_value());
  }

  test::ScratchDirectory scratch_;
  std::filesystem::path directory_ = scratch_.path() / "store";
  std::unique_ptr<StorageBackend> backend_ = open_rocksdb_backend(directory_).value();
  std::shared_ptr<const StorageSnapshot> reader_;
};

TEST_F(ForgettingFiles, what_a_compaction_alone_leaves_goes_too) {
  put_and_erase();
  reader_.reset();
  compact();
  EXPECT_NE(files_with_mark().find("MANIFEST"), std::string::npos) << "the test would show nothing";
  ASSERT_TRUE(forget_in_time());
  compact();
  ASSERT_TRUE(forget_in_time());
  EXPECT_EQ(files_with_mark(), "");
  EXPECT_EQ(read("l"), "stays");
  {
    const auto snapshot = backend_->snapshot().value();
    const auto filler = snapshot->cursor(Family::kAudit);
    filler->seek({});
    EXPECT_FALSE(filler->valid());
  }
  // The store opens from what is left.
  backend_.reset();
  backend_ = open_rocksdb_backend(directory_).value();
  EXPECT_EQ(read("l"), "stays");
}

TEST_F(ForgettingFiles, readers_from_before_are_waited_for_and_later_ones_not) {
  put_and_erase();
  std::uint64_t moment = 0;
  EXPECT_FALSE(forget(moment));
  compact();
  EXPECT_NE(files_with_mark(), "");  // the reader's
  EXPECT_EQ(reader_->get(Family::kRefs, "k" + kMark).value().value().bytes(), kMark);
  EXPECT_FALSE(forget(moment));
  const auto later = backend_->snapshot().value();
  reader_.reset();
  ASSERT_TRUE(forget_in_time(moment));
  compact();
  ASSERT_TRUE(forget_in_time(moment));
  EXPECT_EQ(files_with_mark(), "");
  EXPECT_EQ(later->get(Family::kRefs, "l").value().value().bytes(), "stays");
}

}  // namespace
}  // namespace vexor::sys
