// Runs the simulator.
//   vexor_sim --seeds N [--first S] [--profile races|storms|deposed|jumps|emptied|mixed] [--trace]
//                                               N runs; a failing one prints its seed
//   vexor_sim --canary NAME --seeds N             with a rule broken: succeeds if a run notices
//   vexor_sim --days N [--first S]                one long run, N days
#include "replication/check.h"
#include "sim/scenario.h"

#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <string>
#include <sys/resource.h>

namespace {

using vexor::replication::Faults;

#ifndef VEXOR_REVISION
#define VEXOR_REVISION "unknown"
#endif

const std::map<std::string, bool Faults::*> kCanaries = {
    {"commit_without_members", &Faults::commit_without_members},
    {"accept_old_epochs", &Faults::accept_old_epochs},
    {"read_without_lease", &Faults::read_without_lease},
    {"add_before_caught_up", &Faults::add_before_caught_up},
    {"add_before_tail", &Faults::add_before_tail},
    {"cut_without_conflict", &Faults::cut_without_conflict},
    {"forget_unanswered_change", &Faults::forget_unanswered_change},
    {"promise_while_candidate", &Faults::promise_while_candidate},
    {"serve_before_tail", &Faults::serve_before_tail},
    {"count_unsynced", &Faults::count_unsynced},
    {"keep_old_incarnations", &Faults::keep_old_incarnations},
    {"ignore_mark", &Faults::ignore_mark},
    {"ignore_names", &Faults::ignore_names},
    {"commit_past_others", &Faults::commit_past_others},
};

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t seeds = 1000;
  std::uint64_t days = 0;
  std::string canary;
  vexor::sim::Profile profile = vexor::sim::Profile::kDrawn;
  bool trace = false;
};

struct Totals {
  std::uint64_t acknowledged = 0;
  std::uint64_t entries = 0;
};

// The text of the violation; empty: none.
std::string run(std::uint64_t seed, const Faults& faults, const Arguments& arguments,
                Totals& totals) {
  try {
    vexor::sim::World world(seed, faults, arguments.trace);
    const auto clients_count = static_cast<std::size_t>(world.random.between(2, 4));
    const bool days = arguments.days > 0;
    if (days) world.log_kept = 1000;
    vexor::sim::Clients clients(world, clients_count,
                                days ? 60'000'000 : world.random.between(10'000, 150'000));
    vexor::sim::Scenario scenario(world, clients);
    if (days) {
      long settled_kib = 0;
      long settled_entries = 0;
      for (std::uint64_t day = 0; day < arguments.days; ++day) {
        scenario.run_day();
        rusage usage{};
        getrusage(RUSAGE_SELF, &usage);
        std::printf("day %llu: %llu entries, %ld KiB\n", static_cast<unsigned long long>(day + 1),
                    static_cast<unsigned long long>(world.history.length()), usage.ru_maxrss);
        const auto entries = static_cast<long>(world.history.length());
        if (day == 1) {
          settled_kib = usage.ru_maxrss;
          settled_entries = entries;
        }
        // The checker itself keeps less than a KiB of each push.
        if (day > 1 && usage.ru_maxrss > settled_kib + settled_kib / 4 + (entries - settled_entries)) return "memory grows from day to day";
      }
    } else {
      scenario.run(12'000'000, arguments.profile);
    }
    totals.acknowledged += world.history.acknowledged_count();
    totals.entries += world.history.length();
  } catch (const vexor::sim::Violation& violation) {
    return violation.what();
  }
  return {};
}

int run_seeds(const Arguments& arguments) {
  Faults faults;
  if (!arguments.canary.empty()) {
    const auto canary = kCanaries.find(arguments.canary);
    if (canary == kCanaries.end()) {
      std::fprintf(stderr, "no canary of this name\n");
      return 2;
    }
    faults.*canary->second = true;
  }
  Totals totals;
  int failed = 0;
  for (std::uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    const std::string violation = run(seed, faults, arguments, totals);
    if (violation.empty()) continue;
    std::printf("seed %llu of revision %s: %s\n", static_cast<unsigned long long>(seed),
                VEXOR_REVISION, violation.c_str());
    ++failed;
    if (!arguments.canary.empty()) return 0;  // noticed
    if (failed == 20) break;
  }
  const double seconds = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  std::printf("%llu seeds, %d failed, %llu pushes acknowledged, %.1f CPU seconds, %.2f ms a seed\n",
              static_cast<unsigned long long>(arguments.seeds), failed,
              static_cast<unsigned long long>(totals.acknowledged), seconds,
              seconds * 1000 / static_cast<double>(arguments.seeds));
  if (!arguments.canary.empty()) {
    std::printf("the canary %s was not noticed\n", arguments.canary.c_str());
    return 1;
  }
  return failed == 0 && totals.acknowledged > 0 ? 0 : 1;
}

void violate_check(const char* file, int line, const char* condition) {
  vexor::sim::violate(std::string(file) + ":" + std::to_string(line) +
                      ": check failed: " + condition);
}

}  // namespace

int main(int argc, char** argv) {
  vexor::replication::set_check_handler(violate_check);
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--trace") {
      arguments.trace = true;
      continue;
    }
    if (i + 1 == argc) return 2;
    const char* value = argv[++i];
    if (name == "--canary") {
      arguments.canary = value;
      continue;
    }
    if (name == "--profile") {
      using vexor::sim::Profile;
      arguments.profile = std::strcmp(value, "races") == 0    ? Profile::kRaces
                          : std::strcmp(value, "storms") == 0 ? Profile::kStorms
                          : std::strcmp(value, "deposed") == 0 ? Profile::kDeposed
                          : std::strcmp(value, "jumps") == 0   ? Profile::kJumps
                          : std::strcmp(value, "emptied") == 0 ? Profile::kEmptied
                                                              : Profile::kMixed;
      continue;
    }
    std::uint64_t* number = name == "--first"   ? &arguments.first
                            : name == "--seeds" ? &arguments.seeds
                            : name == "--days"  ? &arguments.days
                                                : nullptr;
    if (number == nullptr) return 2;
    *number = std::strtoull(value, nullptr, 10);
  }
  if (arguments.days > 0) arguments.seeds = 1;
  return run_seeds(arguments);
}
