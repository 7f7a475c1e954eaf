// Path patterns as in git's gitignore(5), which sparse checkouts and filters use too.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "vexorstore/bytes.h"

namespace vexor::format {

class PathPatterns {
 public:
  // One pattern per line; blank lines and comments are skipped. Patterns behind `max` are an error
  // (nullopt).
  static std::optional<PathPatterns> parse(Bytes text, std::size_t max);

  // What the last pattern that matches says: true for a plain pattern, false for one with '!';
  // nullopt when none matches. `path` has no leading slash.
  std::optional<bool> match(Bytes path, bool is_directory) const;

 private:
  struct Pattern {
    std::string glob;
    bool negated = false;
    bool directory_only = false;
    bool anchored = false;  // matched against the whole path, else against its last component
  };
  std::vector<Pattern> patterns_;
};

// Whether `glob` (with *, ?, [...], ** and backslash escapes; * and ? stop at '/') matches `text`.
// Cost: at most glob.size() * text.size() steps.
bool wildmatch(Bytes glob, Bytes text);

}  // namespace vexor::format
