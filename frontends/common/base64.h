// Base64, decoded leniently as HTTP clients send it: stops at the first character that is none.
#pragma once

#include <boost/beast/core/detail/base64.hpp>
#include <string>
#include <string_view>

namespace vexor::frontend {

inline std::string base64_decode(std::string_view text) {
  namespace base64 = boost::beast::detail::base64;
  std::string out(base64::decoded_size(text.size()) + 3, '\0');
  out.resize(base64::decode(out.data(), text.data(), text.size()).first);
  return out;
}

}  // namespace vexor::frontend
