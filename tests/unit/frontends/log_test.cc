#include "common/log.h"

#include <gtest/gtest.h>

namespace vexor::frontend {
namespace {

TEST(Log, what_is_no_utf8_is_replaced) {
  const std::string bad = "\xef\xbf\xbd";
  for (const char* good : {"", "plain", "\xc3\xa4", "\xe2\x82\xac", "\xed\x9f\xbf", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) EXPECT_EQ(utf8_text(good), good);
  EXPECT_EQ(utf8_text("a\xff\xfe" "b"), "a" + bad + bad + "b");
  EXPECT_EQ(utf8_text("cut \xe2\x82"), "cut " + bad + bad);
  EXPECT_EQ(utf8_text("\xc0\xaf"), bad + bad);              // a longer form than needed
  EXPECT_EQ(utf8_text("\xed\xa0\x80"), bad + bad + bad);    // a surrogate
  EXPECT_EQ(utf8_text("\xf4\x90\x80\x80"), bad + bad + bad + bad);
  EXPECT_EQ(utf8_text("\x80z"), bad + "z");
}

}  // namespace
}  // namespace vexor::frontend
