// What an operator is told before a member is promoted.
#include "admin/loss_report.h"

#include <gtest/gtest.h>

namespace vexor::frontend {
namespace {

TEST(LossReport, says_what_is_lost_for_certain) {
  const std::string health = "ok\n{\"node\":3,\"role\":\"follower\",\"appended\":90,\"compared\":90,\"appended_at_ms\":1700000000000,\"told_committed\":97,\"heard_at_ms\":1700000005000}\n";
  const auto report = loss_report_of(health, 3);
  ASSERT_TRUE(report.has_value());
  EXPECT_NE(report.value().find("up to record 90, made at 2023-11-14T22:13:20Z"), std::string::npos) << report.value();
  EXPECT_NE(report.value().find("at 2023-11-14T22:13:25Z, which had acknowledged up to record 97: 7 records are lost"), std::string::npos) << report.value();
  EXPECT_NE(report.value().find("journal --after 90"), std::string::npos) << report.value();
}

// 101 to 110 of a primary before; the one after it acknowledged 101 to 105, and other ones.
TEST(LossReport, a_tail_of_another_history_is_no_copy_of_what_was_acknowledged) {
  for (const char* known : {"\"committed\":95,\"compared\":100", "\"committed\":100"}) {  // a release before the figure has what is committed
    const std::string health = std::string("ok\n{\"node\":3,\"role\":\"follower\",\"appended\":110,") + known + ",\"told_committed\":105,\"heard_at_ms\":1700000005000}\n";
    const auto report = loss_report_of(health, 3);
    ASSERT_TRUE(report.has_value());
    EXPECT_NE(report.value().find("its last 10 records were not compared"), std::string::npos) << report.value();
    EXPECT_NE(report.value().find("acknowledged up to record 105: up to 5 records are lost"), std::string::npos) << report.value();
    EXPECT_EQ(report.value().find("nothing of that is lost"), std::string::npos) << report.value();
    EXPECT_NE(report.value().find("journal --after 100"), std::string::npos) << report.value();
  }
}

TEST(LossReport, knows_whom_it_asked) {
  EXPECT_EQ(loss_report_of("ok\n{\"node\":2,\"role\":\"follower\"}\n", 3).error().code(), Errc::kInvalidArgument);
  EXPECT_EQ(loss_report_of("ok\n{\"node\":3,\"role\":\"primary\"}\n", 3).error().code(), Errc::kInvalidArgument);
  for (const char* text : {"ok\n", "", "ok\n{\"node\":", "ok\n[]", "ok\n{\"version\":\"1\"}\n"}) EXPECT_EQ(loss_report_of(text, 3).error().code(), Errc::kUnavailable) << text;
  const auto whole = loss_report_of("ok\n{\"node\":3,\"role\":\"follower\",\"appended\":9,\"compared\":9,\"told_committed\":9,\"heard_at_ms\":1700000005000}\n", 3);
  EXPECT_NE(whole.value().find("nothing of that is lost"), std::string::npos) << whole.value();
}

}  // namespace
}  // namespace vexor::frontend
