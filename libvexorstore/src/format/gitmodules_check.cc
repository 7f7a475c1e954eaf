#include "format/gitmodules_check.h"

#include <algorithm>

namespace vexor::format {

namespace {

std::string lower(Bytes text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}
bool is_slash(char c) { return c == '/' || c == '\\'; }

// A name with a ".." component would put the submodule's repository outside .git/modules.
bool is_bad_name(Bytes name) {
  if (name.empty()) return true;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= name.size(); ++i) {
    if (i < name.size() && !is_slash(name[i])) continue;
    if (name.substr(start, i - start) == "..") return true;
    start = i + 1;
  }
  return false;
}

std::string percent_decoded(Bytes text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// An option in disguise, a line break that would forge credential requests, or a URL without a host.
bool is_bad_url(Bytes url) {
  if (url.starts_with('-')) return true;
  const std::string decoded = percent_decoded(url);
  if (decoded.find('\n') != std::string::npos) return true;
  if (url.starts_with("./") || url.starts_with("../")) {
    // ".." may climb out of the parent URL's path and leave "::helper" or ":port" behind.
    Bytes rest = url;
    unsigned ups = 0;
    while (rest.starts_with("./") || rest.starts_with("../")) {
      ups += rest.starts_with("../") ? 1U : 0U;
      rest.remove_prefix(rest.starts_with("../") ? 3 : 2);
    }
    return ups > 0 && (rest.starts_with(':') || rest.starts_with('/'));
  }
  const std::size_t helper = url.find("::");
  const Bytes real = helper != Bytes::npos && url.find('/') > helper ? url.substr(helper + 2) : url;
  const std::string scheme = lower(real.substr(0, 8));
  if (scheme.starts_with("http://") || scheme.starts_with("https://") || scheme.starts_with("ftp://") || scheme.starts_with("ftps://")) {
    const Bytes host = real.substr(real.find("://") + 3);
    return host.empty() || host.front() == '/' || host.front() == ':' || host.front() == '?' || host.front() == '#';
  }
  return false;
}

// git-config's syntax, as far as it is needed: sections, keys, quotes, escapes, comments, continuations. A CR before an LF
// belongs to it; one elsewhere is a blank.
class ConfigReader {
 public:
  explicit ConfigReader(Bytes text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    text_.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\r' || i + 1 == text.size() || text[i + 1] != '\n') text_ += text[i];
    }
  }

  // The next key; false at the end or where the syntax breaks.
  bool next() {
    for (;;) {
      skip_blanks("\n \t\r");
      if (at_ >= text_.size()) return false;
      const char c = text_[at_];
      if (c == '#' || c == ';') {
        skip_line();
      } else if (c == '[') {
        if (!read_section()) return false;
      } else {
        return read_key();
      }
    }
  }
  // With its section and subsection, as git prints it: "submodule.NAME.url". "[submodule.name]" and "[submodule "name"]"
  // are the same. Git takes it for a string that ends at a NUL.
  std::string key;
  std::string value;

 private:
  void skip_blanks(Bytes blanks) {
    while (at_ < text_.size() && blanks.find(text_[at_]) != Bytes::npos) ++at_;
  }
  void skip_line() {
    while (at_ < text_.size() && text_[at_] != '\n') ++at_;
  }
  bool read_section() {
    ++at_;
    section_.clear();
    while (at_ < text_.size() && Bytes("] \t\r\n").find(text_[at_]) == Bytes::npos) section_ += text_[at_++];
    section_ = lower(section_);
    skip_blanks(" \t\r");
    if (at_ < text_.size() && text_[at_] == '"') {
      ++at_;
      section_ += '.';
      while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n') {
        if (text_[at_] == '\\' && ++at_ == text_.size()) return false;
        section_ += text_[at_++];
      }
      if (at_ >= text_.size() || text_[at_] != '"') return false;
      ++at_;
    }
    if (at_ >= text_.size() || text_[at_] != ']') return false;
    ++at_;
    return true;
  }
  bool read_key() {
    key.clear();
    value.clear();
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '-')) key += text_[at_++];
    if (key.empty()) return false;
    key = section_ + "." + lower(key);
    key.resize(std::min(key.size(), key.find('\0')));
    skip_blanks(" \t");
    if (at_ >= text_.size() || text_[at_] == '\n') return true;
    if (text_[at_] != '=') return false;
    ++at_;
    bool quoted = false;
    std::size_t kept = 0;  // trailing blanks outside quotes do not count
    while (at_ < text_.size() && (text_[at_] != '\n')) {
      const char c = text_[at_++];
      if (c == '"') {
        quoted = !quoted;
        kept = value.size();
        continue;
      }
      if (!quoted && (c == '#' || c == ';')) {
        skip_line();
        break;
      }
      if (c == '\\') {
        if (at_ >= text_.size()) break;  // as if a line went on, and there were none
        const char escaped = text_[at_++];
        if (escaped == '\n') continue;
        value += escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped == 'b' ? '\b' : escaped;
        kept = value.size();
        continue;
      }
      const bool is_blank = !quoted && (c == ' ' || c == '\t' || c == '\r');
      if (is_blank && value.empty()) continue;  // also behind a quoted nothing, and on a line that goes on
      value += c;
      if (!is_blank) kept = value.size();
    }
    value.resize(kept);
    return !quoted;
  }
  std::string text_;
  std::string section_;
  std::size_t at_ = 0;
};

// Names that NTFS may give a file of the name .gitmodules: GITMOD~1 to ~4, and from then on a hash of it, with as much
// of that as the number leaves room for.
bool is_short_name(Bytes name) {
  constexpr std::size_t kShortNameChars = 8;
  const std::size_t tilde = name.find('~');
  if (name.size() != kShortNameChars || tilde == Bytes::npos) return false;
  const Bytes number = name.substr(tilde + 1);
  if (number.empty() || number[0] < '1' || number.find_first_not_of("0123456789") != Bytes::npos) return false;
  return Bytes("gi7eba").starts_with(name.substr(0, tilde)) || (name.starts_with("gitmod~") && number[0] <= '4');
}

}  // namespace

bool is_dot_gitmodules(Bytes name) {
  if (const std::size_t separator = name.rfind('\\'); separator != Bytes::npos) name.remove_prefix(separator + 1);
  // Nearly all names end here: those taken for it begin with a dot, a 'g', a tilde, or a code point that is ignored.
  if (name.size() < 8 || (name[0] != '.' && (name[0] | 0x20) != 'g' && name[0] != '~' && name[0] != '\xE2' && name[0] != '\xEF')) return false;
  // HFS+ ignores these code points; NTFS ignores what follows a colon, and trailing dots and blanks.
  std::string plain;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const Bytes rest = name.substr(i, 3);
    const bool ignored = rest.size() == 3 && ((rest.starts_with("\xE2\x80") && ((rest[2] >= '\x8C' && rest[2] <= '\x8F') || (rest[2] >= '\xAA' && rest[2] <= '\xAE'))) ||
                                              (rest.starts_with("\xE2\x81") && rest[2] >= '\xAA' && rest[2] <= '\xAF') || rest == "\xEF\xBB\xBF");
    if (ignored) i += 2;
    else plain.push_back(name[i]);
  }
  plain = lower(plain.substr(0, plain.find(':')));
  while (plain.ends_with(' ') || plain.ends_with('.')) plain.pop_back();
  return plain == ".gitmodules" || is_short_name(plain);
}

std::optional<GitmodulesFinding> check_gitmodules(Bytes content) {
  ConfigReader reader(content);
  constexpr Bytes kSection = "submodule.";
  while (reader.next()) {
    const Bytes full = reader.key;
    const std::size_t last = full.rfind('.');
    if (!full.starts_with(kSection) || last < kSection.size()) continue;  // of no submodule
    const Bytes name = full.substr(kSection.size(), last - kSection.size());
    const Bytes key = full.substr(last + 1);
    if (is_bad_name(name)) return GitmodulesFinding{"gitmodulesName", "disallowed submodule name"};
    if (key == "url" && is_bad_url(reader.value)) return GitmodulesFinding{"gitmodulesUrl", "disallowed submodule url"};
    if (key == "path" && reader.value.starts_with('-')) return GitmodulesFinding{"gitmodulesPath", "disallowed submodule path"};
    if (key == "update" && reader.value.starts_with('!')) return GitmodulesFinding{"gitmodulesUpdate", "disallowed submodule update setting"};
  }
  return std::nullopt;
}

}  // namespace vexor::format
