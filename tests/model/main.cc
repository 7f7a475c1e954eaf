// Looks at every state of the model within bounds.
//   vexor_model [--entries N] [--epochs N] [--versions N] [--restarts N] [--wipes N] [--fault NAME]
// With a fault: succeeds if it is noticed.
#include "model/state.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace {

using namespace vexor::model;

std::string_view octets(const State& state) {
  return {reinterpret_cast<const char*>(&state), sizeof state};
}
static_assert(std::has_unique_object_representations_v<State>);

// What broke first, or nothing.
std::string look(const Bounds& bounds, const Faults& faults, std::size_t& seen_count) {
  // By 64-bit hash: that two of some million states share one is a chance of about 1 in 1,000,000.
  const std::hash<std::string_view> hash;
  std::unordered_set<std::size_t> seen{hash(octets(first_state()))};
  std::vector<State> next{first_state()};
  std::string broken;
  int depth = 0;
  for (; !next.empty(); ++depth) {
    std::vector<State> now = std::move(next);
    next.clear();
    for (const State& state : now) {
      for (const State& to : steps(state, bounds, faults, broken))
        if (seen.insert(hash(octets(to))).second) next.push_back(to);
      if (broken.empty()) continue;
      seen_count = seen.size();
      return broken + ", after " + std::to_string(depth + 1) + " steps";
    }
  }
  seen_count = seen.size();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  Bounds bounds;
  Faults faults;
  bool faulty = false;
  const std::map<std::string, int*> numbers = {{"--entries", &bounds.entries},
                                               {"--epochs", &bounds.epochs},
                                               {"--versions", &bounds.versions},
                                               {"--restarts", &bounds.restarts},
                                               {"--wipes", &bounds.wipes}};
  const std::map<std::string, bool*> names = {
      {"forget_unanswered_change", &faults.forget_unanswered_change},
      {"add_before_tail", &faults.add_before_tail},
      {"remove_at_once", &faults.remove_at_once},
      {"accept_old_epochs", &faults.accept_old_epochs},
      {"act_without_record", &faults.act_without_record},
      {"ignore_names", &faults.ignore_names}};
  for (int i = 1; i + 1 < argc; i += 2) {
    if (const auto number = numbers.find(argv[i]); number != numbers.end()) {
      *number->second = std::atoi(argv[i + 1]);
    } else if (const auto name = names.find(argv[i + 1]); name != names.end()) {
      *name->second = faulty = true;
    } else {
      return 2;
    }
  }
  bounds.entries = std::min(bounds.entries, 3);
  std::size_t states = 0;
  const std::string broken = look(bounds, faults, states);
  std::printf("%zu states: %s\n", states, broken.empty() ? "all is well" : broken.c_str());
  return broken.empty() != faulty ? 0 : 1;
}
