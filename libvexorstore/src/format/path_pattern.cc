#include "format/path_pattern.h"

#include <algorithm>

namespace vexor::format {

namespace {

struct ClassMatch {
  bool matched;
  std::size_t end;  // behind ']'; 0 when the bracket is not closed
};

ClassMatch match_class(Bytes glob, std::size_t at, char c) {
  ++at;  // '['
  const bool negated = at < glob.size() && (glob[at] == '!' || glob[at] == '^');
  if (negated) ++at;
  bool matched = false;
  for (bool first = true; at < glob.size() && (first || glob[at] != ']'); first = false) {
    if (glob[at] == '\\' && at + 1 < glob.size()) ++at;
    const auto low = static_cast<unsigned char>(glob[at++]);
    auto high = low;
    if (at + 1 < glob.size() && glob[at] == '-' && glob[at + 1] != ']') {
      ++at;
      if (glob[at] == '\\' && at + 1 < glob.size()) ++at;
      high = static_cast<unsigned char>(glob[at++]);
    }
    const auto octet = static_cast<unsigned char>(c);
    matched = matched || (octet >= low && octet <= high);
  }
  if (at >= glob.size()) return {false, 0};
  return {matched != negated && c != '/', at + 1};
}

}  // namespace

bool wildmatch(Bytes glob, Bytes text) {
  // reachable[j]: the glob's part before `i` matches text[0, j).
  std::vector<char> now(text.size() + 1, 0);
  std::vector<char> next(text.size() + 1, 0);
  now[0] = 1;
  std::size_t i = 0;
  while (i < glob.size()) {
    std::fill(next.begin(), next.end(), char{0});
    const bool double_star = glob.compare(i, 2, "**") == 0 && (i == 0 || glob[i - 1] == '/') &&
                             (i + 2 == glob.size() || glob[i + 2] == '/');
    if (double_star && i + 2 < glob.size()) {  // "**/": nothing, or anything that ends in '/'
      bool any = false;
      for (std::size_t j = 0; j <= text.size(); ++j) {
        next[j] = static_cast<char>(now[j] != 0 || (any && j > 0 && text[j - 1] == '/'));
        any = any || now[j] != 0;
      }
      i += 3;
    } else if (glob[i] == '*') {
      std::size_t stars = i;
      while (stars < glob.size() && glob[stars] == '*') ++stars;
      bool open = false;
      for (std::size_t j = 0; j <= text.size(); ++j) {
        if (!double_star && j > 0 && text[j - 1] == '/') open = false;
        open = open || now[j] != 0;
        next[j] = static_cast<char>(open);
      }
      i = stars;
    } else {
      const std::size_t literal = glob[i] == '\\' && i + 1 < glob.size() ? i + 1 : i;
      std::size_t end = literal + 1;
      for (std::size_t j = 0; j < text.size(); ++j) {
        bool hit = glob[literal] == text[j];
        if (literal == i && glob[i] == '?') hit = text[j] != '/';
        if (literal == i && glob[i] == '[') {
          const ClassMatch found = match_class(glob, i, text[j]);
          if (found.end != 0) {
            hit = found.matched;
            end = found.end;
          }
        }
        next[j + 1] = static_cast<char>(hit && now[j] != 0);
      }
      i = end;
    }
    now.swap(next);
  }
  return now[text.size()] != 0;
}

std::optional<PathPatterns> PathPatterns::parse(Bytes text, std::size_t max) {
  PathPatterns out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    Bytes line = text.substr(0, end);
    text.remove_prefix(end == Bytes::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    while (line.ends_with(' ') && !line.ends_with("\\ ")) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    Pattern pattern;
    if (line.front() == '!') {
      pattern.negated = true;
      line.remove_prefix(1);
    }
    if (line.ends_with('/')) {
      pattern.directory_only = true;
      line.remove_suffix(1);
    }
    if (line.starts_with('/')) {
      pattern.anchored = true;
      line.remove_prefix(1);
    }
    pattern.anchored = pattern.anchored || line.find('/') != Bytes::npos;
    if (line.empty()) continue;
    pattern.glob = line;
    if (out.patterns_.size() == max) return std::nullopt;
    out.patterns_.push_back(std::move(pattern));
  }
  return out;
}

std::optional<bool> PathPatterns::match(Bytes path, bool is_directory) const {
  const std::size_t slash = path.rfind('/');
  const Bytes name = slash == Bytes::npos ? path : path.substr(slash + 1);
  for (auto pattern = patterns_.rbegin(); pattern != patterns_.rend(); ++pattern) {
    if (pattern->directory_only && !is_directory) continue;
    if (wildmatch(pattern->glob, pattern->anchored ? path : name)) return !pattern->negated;
  }
  return std::nullopt;
}

}  // namespace vexor::format
