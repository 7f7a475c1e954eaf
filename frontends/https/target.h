// The target of a request: which repository, and what of it.
#pragma once

#include <string>
#include <string_view>

namespace vexor::frontend {

// "/OWNER/NAME[.git]/REST" to its parts.
inline bool split_target(std::string_view target, std::string& repository, std::string& rest) {
  const std::size_t query = target.find('?');
  std::string_view path = target.substr(0, query);
  if (!path.starts_with('/')) return false;
  path.remove_prefix(1);
  const std::size_t first = path.find('/');
  const std::size_t second = first == std::string_view::npos ? first : path.find('/', first + 1);
  if (second == std::string_view::npos) return false;
  std::string_view name = path.substr(0, second);
  if (name.ends_with(".git")) name.remove_suffix(4);
  repository = std::string(name);
  rest = std::string(path.substr(second)) + (query == std::string_view::npos ? "" : std::string(target.substr(query)));
  return true;
}

}  // namespace vexor::frontend
