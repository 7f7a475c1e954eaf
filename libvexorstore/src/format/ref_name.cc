#include "format/ref_name.h"

#include "vexorstore/limits.h"

namespace vexor::format {

namespace {
bool is_valid_part(Bytes part) {
  return !part.empty() && part[0] != '.' && !part.ends_with(".lock") && !part.ends_with(".");
}
}  // namespace

bool is_valid_ref_name(Bytes name) {
  if (name == "HEAD") return true;
  if (name.empty() || name.size() > kRefNameBytesMax || name.find('/') == Bytes::npos) return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const unsigned c = octet(name, i);
    if (c <= 0x20 || c == 0x7F) return false;
    if (Bytes("~^:?*[\\").find(name[i]) != Bytes::npos) return false;
    const char next = i + 1 < name.size() ? name[i + 1] : '\0';
    if (name[i] == '.' && next == '.') return false;
    if (name[i] == '@' && next == '{') return false;
  }
  Bytes rest = name;
  while (true) {
    const std::size_t slash = rest.find('/');
    const Bytes part = rest.substr(0, slash);
    if (part.empty() || part[0] == '.' || part.ends_with(".lock")) return false;
    if (slash == Bytes::npos) return is_valid_part(part);
    rest.remove_prefix(slash + 1);
  }
}

bool ref_pattern_matches(Bytes pattern, Bytes name) {
  if (pattern.ends_with("/")) return name.starts_with(pattern);
  // Greedy glob with one retry point: linear in the name for each '*'.
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = Bytes::npos;
  std::size_t mark = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != Bytes::npos) {
      p = star + 1;
      n = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace vexor::format
