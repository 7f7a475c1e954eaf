#include "daemon/descriptors.h"

#include <gtest/gtest.h>

namespace vexor::frontend {
namespace {

ServerConfig small_config() {
  ServerConfig config;
  config.https_listen = "127.0.0.1:0";
  config.ssh_listen = "127.0.0.1:0";
  config.monitor_listen = "127.0.0.1:0";
  config.https.connections_max = 100;
  config.ssh.connections_max = 10;
  config.admin.connections_max = 7;
  config.monitor.connections_max = 3;
  config.rocksdb.open_files_max = 50;
  return config;
}

TEST(Descriptors, every_server_and_the_storage_count) {
  EXPECT_EQ(descriptor_needs(small_config()).sum(), 200U + 20U + 35U + 3U + 50U + kOtherDescriptors);
}

TEST(Descriptors, a_server_that_does_not_listen_needs_none) {
  ServerConfig config = small_config();
  config.https_listen.clear();
  config.ssh_listen.clear();
  config.monitor_listen.clear();
  EXPECT_EQ(descriptor_needs(config).sum(), 35U + 50U + kOtherDescriptors);
}

TEST(Descriptors, the_sum_must_fit_and_the_error_says_what_to_change) {
  const DescriptorNeeds needs = descriptor_needs(small_config());
  EXPECT_TRUE(check_descriptors(needs, needs.sum()).has_value());
  const auto refused = check_descriptors(needs, needs.sum() - 1);
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code(), Errc::kInvalidArgument);
  for (const std::string told : {std::to_string(needs.sum()), std::to_string(needs.sum() - 1), std::string("LimitNOFILE"), std::string("https.connections_max"),
                                 std::string("ssh.connections_max"), std::string("rocksdb.open_files_max")}) {
    EXPECT_NE(refused.error().message().find(told), std::string::npos) << told;
  }
}

}  // namespace
}  // namespace vexor::frontend
