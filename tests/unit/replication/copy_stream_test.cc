// A copy whose source answers, and hangs.
#include "replication/transport/copy_stream.h"

#include <gtest/gtest.h>

#include <thread>

#include "vexorstore/store_copy.h"

namespace vexor::replication {
namespace {

const CopyFile kFile{"000007.sst", 3 * kCopyPieceBytesMax};

// Gives so many pieces, and then the digest; or nothing more, until the other end is gone.
class Source final : public peer::Peer::Service {
 public:
  grpc::Status ReadCopy(grpc::ServerContext* context, const peer::CopyRead*, grpc::ServerWriter<peer::CopyPiece>* writer) override {
    peer::CopyPiece piece;
    piece.set_octets(std::string(kCopyPieceBytesMax, 'x'));
    piece.set_checksum(checksum_of(piece.octets()));
    for (int i = 0; i < pieces; ++i) {
      std::this_thread::sleep_for(before_each);  // a slow source, as the test asks for
      writer->Write(piece);
    }
    while (hangs && !context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));  // until who reads gives up
    peer::CopyPiece last;
    last.set_digest(std::string(Digest{}.size(), 'd'));
    writer->Write(last);
    return grpc::Status::OK;
  }
  int pieces = 3;
  std::chrono::milliseconds before_each{};
  bool hangs = false;
};

class CopyStream : public testing::Test {
 protected:
  void SetUp() override {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&source_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(port, 0);
    stub_ = peer::Peer::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  }
  Result<std::string> read(std::chrono::milliseconds piece, std::chrono::milliseconds first, std::uint64_t offset = 0) {
    taken_ = 0;
    return make_copy_peer(2, *stub_, {piece, first})->read({1, 3, {}, {kFile}}, kFile, offset, [this](Bytes) -> Result<void> {
      ++taken_;
      return success();
    });
  }
  Source source_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<peer::Peer::Stub> stub_;
  int taken_ = 0;
};

constexpr std::chrono::seconds kLong{60};

TEST_F(CopyStream, takes_pieces_until_the_digest) {
  const auto digest = read(kLong, kLong);
  ASSERT_TRUE(digest.has_value()) << digest.error().message();
  EXPECT_EQ(digest.value(), std::string(Digest{}.size(), 'd'));
  EXPECT_EQ(taken_, 3);
}

TEST_F(CopyStream, of_a_source_that_hangs_is_given_up) {
  source_.pieces = 1;
  source_.hangs = true;
  const auto begun = std::chrono::steady_clock::now();
  const auto hung = read(std::chrono::milliseconds(1000), kLong);
  ASSERT_TRUE(hung.has_error());
  EXPECT_EQ(hung.error().code(), Errc::kUnavailable);
  EXPECT_EQ(taken_, 1);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, kLong / 2);
}

// The time is that of one piece, not of all; and the first one has more where something is before it, but not for ever.
TEST_F(CopyStream, a_source_that_is_slow_is_waited_for) {
  source_.before_each = std::chrono::milliseconds(700);
  EXPECT_TRUE(read(std::chrono::milliseconds(2000), kLong).has_value());
  source_.pieces = 1;
  source_.before_each = std::chrono::milliseconds(1500);
  EXPECT_TRUE(read(std::chrono::milliseconds(500), kLong, 64U << 20U).has_value());  // 4 s for what is before
  EXPECT_TRUE(read(std::chrono::milliseconds(500), std::chrono::milliseconds(600), 64U << 20U).has_error());
}

}  // namespace
}  // namespace vexor::replication
