#include "vexorstore/error.h"

namespace vexor {

std::string_view errc_name(Errc code) noexcept {
  switch (code) {
    case Errc::kNotFound: return "not_found";
    case Errc::kConflict: return "conflict";
    case Errc::kInvalidArgument: return "invalid_argument";
    case Errc::kProtocol: return "protocol";
    case Errc::kCorrupt: return "corrupt";
    case Errc::kLimitExceeded: return "limit_exceeded";
    case Errc::kRefused: return "refused";
    case Errc::kIo: return "io";
    case Errc::kIndeterminate: return "indeterminate";
    case Errc::kUnavailable: return "unavailable";
    case Errc::kCancelled: return "cancelled";
    case Errc::kCollision: return "collision";
  }
  return "unknown";
}

Error::Error(Errc code, std::string message, boost::source_location where)
    : rep_(new Rep{code, std::move(message), where, 0}) {}

std::string Error::describe() const {
  std::string_view file(rep_->where.file_name());
  file.remove_prefix(file.rfind('/') == std::string_view::npos ? 0 : file.rfind('/') + 1);
  return std::string(errc_name(rep_->code)) + ": " + rep_->message + " (" + std::string(file) + ":" +
         std::to_string(rep_->where.line()) + ")";
}

Error Error::with_context(std::string_view context) && {
  rep_->message = std::string(context) + ": " + rep_->message;
  return std::move(*this);
}

Error Error::with_sequence(std::uint64_t sequence) && {
  rep_->sequence = sequence;
  return std::move(*this);
}

}  // namespace vexor
