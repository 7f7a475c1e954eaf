// ResumingSession: a fetch that another server runs, and that a third one goes on with, at the same octet and unseen by
// its client, when that one is gone. Servers of a replica set answer the same request with the same octets.
//
// What the client got is not kept: the new server makes it again, and its checksum is compared. If it differs, or the client
// had sent more than kInputBytesMax, the fetch fails. Threads: as of a Session.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "vexorstore/protocol/session.h"
#include "vexorstore/result.h"

namespace vexor::frontend {

class ResumingSession final : public protocol::Session {
 public:
  // Blocks until there is a server to ask. Errors: kUnavailable.
  using Open = std::function<Result<std::unique_ptr<protocol::Session>>()>;
  ResumingSession(std::unique_ptr<protocol::Session> first, Open open) : inner_(std::move(first)), open_(std::move(open)) {}

  protocol::Wants wants() const override;
  std::size_t feed(Bytes input) override;
  void end_of_input() override;
  std::size_t drain(std::span<char> room) override;
  void take_output(std::string& out, std::size_t front) override;
  void run_work() override;
  bool waits_for_others() const override { return may_go_on() || inner_->waits_for_others(); }
  // Not in the middle of what is repeated, which may be the middle of a packet.
  Bytes keep_alive() const override { return replaying_ ? Bytes() : inner_->keep_alive(); }
  const Error* failure() const override { return differs_ ? &*differs_ : inner_->failure(); }

  static constexpr std::size_t kInputBytesMax = 4U << 20U;
  static constexpr int kTriesMax = 100;

 private:
  bool may_go_on() const;
  void go_on();
  void replay();
  void skip_told();
  void count(Bytes told);

  std::unique_ptr<protocol::Session> inner_;
  Open open_;
  std::string sent_;      // by the client
  bool is_whole_ = true;  // sent_ holds all of it
  bool ended_ = false;    // the client sends no more
  std::uint64_t told_ = 0;  // octets that the client got
  std::uint32_t told_checksum_ = 0;
  bool replaying_ = false;
  std::size_t replayed_ = 0;
  bool replayed_end_ = false;
  std::uint64_t skipped_ = 0;
  std::uint32_t skipped_checksum_ = 0;
  int tries_ = 0;
  std::optional<Error> differs_;
};

}  // namespace vexor::frontend
