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

RefPattern::RefPattern(Bytes pattern) {
  if (pattern.ends_with("/")) {
    prefix_ = pattern;
    is_open_ = true;
    return;
  }
  const std::size_t first = pattern.find('*');
  prefix_ = pattern.substr(0, first);
  if (first == Bytes::npos) return;
  is_open_ = true;
  const std::size_t last = pattern.rfind('*');
  suffix_ = pattern.substr(last + 1);
  for (std::size_t begin = first; begin < last;) {
    const std::size_t end = pattern.find('*', begin + 1);
    if (end > begin + 1) parts_.push_back(part_of(pattern.substr(begin + 1, end - begin - 1)));
    begin = end;
  }
}

// Knuth, Morris and Pratt: of each beginning of the text how much of it ends with another beginning.
RefPattern::Part RefPattern::part_of(Bytes text) {
  Part out{text, std::vector<std::uint32_t>(text.size(), 0)};
  for (std::size_t i = 1, matched = 0; i < text.size(); ++i) {
    while (matched > 0 && text[i] != text[matched]) matched = out.borders[matched - 1];
    if (text[i] == text[matched]) ++matched;
    out.borders[i] = static_cast<std::uint32_t>(matched);
  }
  return out;
}

bool RefPattern::matches(Bytes name) const {
  if (!is_open_) return name == prefix_;
  if (name.size() < prefix_.size() + suffix_.size() || !name.starts_with(prefix_) || !name.ends_with(suffix_)) return false;
  Bytes rest = name.substr(prefix_.size(), name.size() - prefix_.size() - suffix_.size());
  for (const Part& part : parts_) {  // the first place is as good as any: more is left behind it
    if (part.text.size() > rest.size()) return false;
    std::size_t at = 0;
    std::size_t matched = 0;
    for (; at < rest.size() && matched < part.text.size(); ++at) {
      while (matched > 0 && rest[at] != part.text[matched]) matched = part.borders[matched - 1];
      if (rest[at] == part.text[matched]) ++matched;
    }
    if (matched < part.text.size()) return false;
    rest.remove_prefix(at);
  }
  return true;
}

bool ref_pattern_matches(Bytes pattern, Bytes name) { return RefPattern(pattern).matches(name); }

}  // namespace vexor::format
