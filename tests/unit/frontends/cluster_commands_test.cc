// What an operator may ask for is looked at before etcd is asked.
#include "admin/cluster_commands.h"

#include <gtest/gtest.h>

#include "replication/limits.h"

namespace vexor::frontend {
namespace {

TEST(ClusterCommands, a_set_of_more_members_than_any_may_read_is_not_made) {
  ClusterArguments args;
  args.etcd = "127.0.0.1:1";  // nobody is there
  for (std::size_t id = 1; id <= replication::kMembersMax; ++id) args.members.push_back(std::to_string(id) + "=127.0.0.1:" + std::to_string(7000 + id));
  EXPECT_EQ(cluster_init(args).error().code(), Errc::kUnavailable);
  args.members.push_back("99=127.0.0.1:7999");
  const auto refused = cluster_init(args);
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code(), Errc::kInvalidArgument);
  EXPECT_NE(refused.error().message().find("at most 16 members, and these are 17"), std::string::npos) << refused.error().message();
}

}  // namespace
}  // namespace vexor::frontend
