// Test vectors: tests/data/vectors/FAMILY.txt, shared by the unit tests, the fuzz seeds and the examples of
// docs/format. tools/tidy.py reads them too.
//
// A vector is a block of lines between blank lines; '#' starts a comment line:
//
//   name = direct               first
//   hex = 01 07 00              the encoded bytes; several lines are joined; or
//   text = 0009hello            the same as text, with \n, \t, \0, \\ and \xHH; one line, no final newline
//   sequence = 7                what it means: KEY = VALUE, a key may come more than once
//   error = corrupt             instead: it must be refused, with this code
#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/hex.h"
#include "vexorstore/object.h"

namespace vexor::test {

inline std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out.push_back(text[i]);
      continue;
    }
    const char c = text[++i];
    if (c == 'x') {
      out.append(from_hex(text.substr(i + 1, 2)).value());
      i += 2;
    } else {
      out.push_back(c == 'n' ? '\n' : c == 't' ? '\t' : c == '0' ? '\0' : c);
    }
  }
  return out;
}

struct Vector {
  std::string name;
  std::string bytes;
  std::vector<std::pair<std::string, std::string>> fields;

  bool has(const std::string& key) const {
    for (const auto& [name_, value] : fields) {
      if (name_ == key) return true;
    }
    return false;
  }
  // Unescaped. A key that is not there is an error of the vector.
  std::string text(const std::string& key) const {
    for (const auto& [name_, value] : fields) {
      if (name_ == key) return unescape(value);
    }
    throw std::runtime_error("vector " + name + " has no " + key);
  }
  std::string text_or(const std::string& key, const std::string& otherwise) const { return has(key) ? text(key) : otherwise; }
  std::vector<std::string> all(const std::string& key) const {
    std::vector<std::string> out;
    for (const auto& [name_, value] : fields) {
      if (name_ == key) out.push_back(unescape(value));
    }
    return out;
  }
  std::uint64_t number(const std::string& key) const { return std::stoull(text(key), nullptr, 0); }
  std::int64_t integer(const std::string& key) const { return std::stoll(text(key)); }
  std::string octets(const std::string& key) const { return from_hex(text(key)).value(); }
  bool flag(const std::string& key) const { return text(key) == "yes"; }
  HashAlgorithm algorithm() const { return parse_hash_name(text_or("algorithm", "sha1")).value(); }
  ObjectId id(const std::string& key) const { return ObjectId::from_hex(algorithm(), text(key)).value(); }
  bool refused() const { return has("error"); }
};

inline std::vector<Vector> load_vectors(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error("no vectors: " + path);
  std::vector<Vector> out;
  bool open = false;
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) open = false;
    if (line.empty() || line[0] == '#') continue;
    const std::size_t equals = line.find(" =");
    if (equals == std::string::npos) throw std::runtime_error(path + ": " + line);
    const std::string key = line.substr(0, equals);
    const std::string value = line.size() > equals + 3 ? line.substr(equals + 3) : "";
    if (!open) {
      if (key != "name") throw std::runtime_error(path + ": a vector begins with its name: " + line);
      out.emplace_back();
      out.back().name = value;
      open = true;
    } else if (key == "hex") {
      std::string digits;
      for (const char c : value) {
        if (c != ' ') digits.push_back(c);
      }
      out.back().bytes.append(from_hex(digits).value());
    } else if (key == "text") {
      out.back().bytes.append(unescape(value));
    } else {
      out.back().fields.emplace_back(key, value);
    }
  }
  if (out.empty()) throw std::runtime_error(path + " is empty");
  return out;
}

}  // namespace vexor::test
