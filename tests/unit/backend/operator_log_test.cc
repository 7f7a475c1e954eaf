// The file LOG of a store: whoever finds the store in use leaves it to the one that runs.
#include "backend/rocksdb/operator_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdarg>
#include <fstream>
#include <iterator>

#include "vexorstore/sys/backends.h"

namespace vexor::sys {
namespace {

namespace fs = std::filesystem;

class OperatorLogTest : public testing::Test {
 protected:
  OperatorLogTest() : directory_(testing::TempDir() + "vexor-operator-log-" + std::to_string(::getpid())) {
    fs::remove_all(directory_);
    fs::create_directories(directory_);
  }
  ~OperatorLogTest() override { fs::remove_all(directory_); }
  static void say(OperatorLog& log, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    log.Logv(format, arguments);
    va_end(arguments);
  }
  std::string content(const char* name) const {
    std::ifstream in(directory_ / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  fs::path directory_;
};

TEST_F(OperatorLogTest, a_store_that_is_in_use_keeps_its_log) {
  const auto running = open_rocksdb_backend(directory_, {});
  ASSERT_TRUE(running.has_value());
  OperatorLog log(directory_);
  say(log, "before %d", 1);
  ASSERT_NE(content("LOG").find("before 1\n"), std::string::npos);
  for (int i = 0; i < 2; ++i) {
    const auto refused = open_rocksdb_backend(directory_, {});
    ASSERT_TRUE(refused.has_error());
    EXPECT_NE(refused.error().message().find("in use"), std::string::npos) << refused.error().message();
  }
  say(log, "after %d", 2);
  EXPECT_NE(content("LOG").find("before 1\n"), std::string::npos);
  EXPECT_NE(content("LOG").find("after 2\n"), std::string::npos);
  EXPECT_FALSE(fs::exists(directory_ / "LOG.old"));
}

TEST_F(OperatorLogTest, a_start_goes_on_with_the_file) {
  for (int i = 0; i < 3; ++i) {
    OperatorLog log(directory_);
    say(log, "start %d", i);
  }
  EXPECT_NE(content("LOG").find("start 0\n"), std::string::npos);
  EXPECT_NE(content("LOG").find("start 2\n"), std::string::npos);
}

TEST_F(OperatorLogTest, a_full_file_makes_room_for_the_next) {
  std::ofstream(directory_ / "LOG") << std::string(kOperatorLogBytesMax, '#');
  OperatorLog log(directory_);
  say(log, "next");
  EXPECT_EQ(fs::file_size(directory_ / "LOG.old"), kOperatorLogBytesMax);
  EXPECT_EQ(content("LOG").find('#'), std::string::npos);
  EXPECT_NE(content("LOG").find("next\n"), std::string::npos);
}

}  // namespace
}  // namespace vexor::sys
