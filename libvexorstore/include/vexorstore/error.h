// Error: why an operation did not do what was asked. One pointer wide, move-only.
//
// Threads: distinct errors are independent; a const Error may be read from any thread.
// Spec: docs/errors.md (code -> what a client sees, log level, retryable).
#pragma once

#include <boost/assert/source_location.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace vexor {

// Closed list. A look-up that may miss is `Result<std::optional<T>>`, not kNotFound.
enum class Errc : unsigned char {
  kNotFound = 1,     // the named thing does not exist (or may not be seen)
  kConflict,         // a precondition did not hold; nothing was changed
  kInvalidArgument,  // the caller's value is not acceptable
  kProtocol,         // the peer broke the wire protocol
  kCorrupt,          // stored bytes fail verification
  kLimitExceeded,    // a named limit was reached
  kRefused,          // policy or permission says no
  kIo,               // the storage or operating system failed
  kIndeterminate,    // a commit may or may not have happened; re-read before retry
  kUnavailable,      // try again later
  kCancelled,        // the caller or peer went away
  kCollision,        // another object with the same id: an attack or damage; the stored one stays
};

// Stable lower-case name ("limit_exceeded"), for logs and JSON.
std::string_view errc_name(Errc code) noexcept;

class [[nodiscard]] Error {
 public:
  // `message` states facts in plain words; it must hold no secret and no path of the server.
  Error(Errc code, std::string message,
        boost::source_location where = BOOST_CURRENT_LOCATION);
  Error(Error&&) noexcept = default;
  Error& operator=(Error&&) noexcept = default;

  Errc code() const noexcept { return rep_->code; }
  const std::string& message() const noexcept { return rep_->message; }
  const boost::source_location& where() const noexcept { return rep_->where; }
  // The journal record that the error is about; of kIndeterminate, the one that the change is if it was committed. 0: none is known.
  std::uint64_t sequence() const noexcept { return rep_->sequence; }
  // "limit_exceeded: object bytes 9 over 8 (ingest.cc:120)"; for logs, not for clients.
  std::string describe() const;
  // Prepends "context: " to the message.
  Error with_context(std::string_view context) &&;
  Error with_sequence(std::uint64_t sequence) &&;
  Error clone() const { return Error(rep_->code, rep_->message, rep_->where).with_sequence(rep_->sequence); }

 private:
  struct Rep {
    Errc code;
    std::string message;
    boost::source_location where;
    std::uint64_t sequence = 0;
  };
  std::unique_ptr<Rep> rep_;
};

}  // namespace vexor
