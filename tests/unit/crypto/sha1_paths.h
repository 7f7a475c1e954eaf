// Every way this CPU can compute and check SHA-1, so that tests can force each of them.
#pragma once

#include <string>
#include <vector>

#include "crypto/sha1.h"

namespace vexor {

struct Sha1Path {
  std::string name;
  Sha1Cpu cpu;
};

inline std::vector<Sha1Path> sha1_paths() {
  const Sha1Cpu& has = Sha1Cpu::detect();
  std::vector<Sha1Path> out;
  for (const bool sha : {false, true}) {
    if (sha && !has.sha) continue;
    const std::string with = sha ? " with sha" : "";
    out.push_back({"portable" + with, {sha, false, false, false}});
    if (has.avx2) out.push_back({"avx2" + with, {sha, true, false, false}});
    if (has.avx512_256) out.push_back({"avx512, 8 lanes" + with, {sha, false, true, false}});
    if (has.avx512) out.push_back({"avx512, 16 lanes" + with, {sha, false, false, true}});
  }
  out.push_back({"as detected", has});
  return out;
}

}  // namespace vexor
