// A sans-I/O conversation: bytes in, bytes out, no socket, no thread, no clock.
//
// A pump (frontends/common) loops: look at wants(); kInput -> feed() what arrived, or
// end_of_input(); kOutput -> drain() and send; kWork -> run_work() on a worker thread; kDone ->
// finish. Destroying a session at any time cancels it and leaves nothing behind.
//
// Threads: one caller at a time; moving between threads between calls is fine.
// Blocking: feed, drain, end_of_input and wants never block and never touch the store; run_work
// does both: for about a tenth of a second at a time where it can, and for as long as it takes where a
// push is committed or the objects of a fetch are chosen. keep_alive() is for those waits.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "vexorstore/bytes.h"
#include "vexorstore/error.h"

namespace vexor::protocol {

enum class Wants : unsigned char { kInput, kOutput, kWork, kDone };

class Session {
 public:
  virtual ~Session() = default;
  virtual Wants wants() const = 0;
  // Takes up to all of `input`; returns how many bytes were taken (fewer only when work is due).
  virtual std::size_t feed(Bytes input) = 0;
  // The peer will send no more.
  virtual void end_of_input() = 0;
  // Writes up to room.size() bytes that are ready for the peer; returns how many.
  virtual std::size_t drain(std::span<char> room) = 0;
  // The same without a copy: replaces `out` with `front` octets of room for the caller and then all that
  // is ready.
  virtual void take_output(std::string& out, std::size_t front) = 0;
  virtual void run_work() = 0;
  // While wants() is kWork: run_work() will wait for other servers above all, and take little of a processor. A host with few
  // threads for work may let it wait in another one.
  virtual bool waits_for_others() const { return false; }
  // While wants() is kWork and until run_work() returns: a packet that tells the peer nothing but that the
  // server is at work. The pump may send it as often as it likes, before and while run_work() runs. Empty:
  // none would be understood now. Spec: git-config, receive.keepAlive and uploadpack.keepAlive.
  virtual Bytes keep_alive() const = 0;
  // After kDone: null when the conversation ended well (a refusal that was reported to the client
  // in the protocol's own words counts as well), else why it ended. For logs.
  virtual const Error* failure() const = 0;
};

}  // namespace vexor::protocol
