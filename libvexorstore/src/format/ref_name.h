// Ref names and patterns of them. Spec: git-check-ref-format.
#pragma once

#include <cstdint>
#include <vector>

#include "vexorstore/bytes.h"

namespace vexor::format {

// A full name ("HEAD" or one with a '/'), at most kRefNameBytesMax bytes.
bool is_valid_ref_name(Bytes name);
// A pattern is an exact name, a prefix ending in '/', or holds '*', which stands for any bytes. Users choose patterns and names:
// a match takes time in proportion to the name, however many stars there are. The pattern is read where it is: it has to stay there.
class RefPattern {
 public:
  explicit RefPattern(Bytes pattern);
  bool matches(Bytes name) const;

 private:
  struct Part {  // between two stars
    Bytes text;
    std::vector<std::uint32_t> borders;
  };
  static Part part_of(Bytes text);
  Bytes prefix_;
  Bytes suffix_;
  std::vector<Part> parts_;
  bool is_open_ = false;  // something may be between prefix and suffix
};
bool ref_pattern_matches(Bytes pattern, Bytes name);

}  // namespace vexor::format
