#include "sim/sim_coordinator.h"

#include "sim/world.h"

namespace vexor::sim {

void SimCoordinator::read(std::size_t host, std::function<void(const VersionedRecord&)> done) {
  Random& random = world_.random;
  if (!reaches(host) || (slow && random.chance(200))) return;
  const std::int64_t there = random.skewed(200, slow ? 2'000'000 : 5'000);
  const std::int64_t back = random.skewed(200, slow ? 2'000'000 : 5'000);
  world_.after(there, [this, host, back, done = std::move(done)] {
    if (!reaches(host)) return;
    world_.after(back, [record = record_, done] { done(record); });
  });
}

void SimCoordinator::compare_and_set(std::size_t host, std::uint64_t expected, Record record,
                                     std::function<void(ChangeAnswer)> done) {
  Random& random = world_.random;
  const bool lost_there = !reaches(host) || (slow && random.chance(150));
  const std::int64_t there =
      slow && random.chance(500) ? random.between(200, 3'000'000) : random.skewed(200, 8'000);
  const std::int64_t give_up = 400'000;
  auto answered = std::make_shared<bool>(false);
  const auto answer = [answered, done](ChangeAnswer told) {
    if (!std::exchange(*answered, true)) done(told);
  };
  world_.after(give_up, [answer] { answer(ChangeAnswer::kUnknown); });
  if (lost_there) return;
  ++changes_coming;
  world_.after(there, [this, host, expected, record = std::move(record), answer] {
    --changes_coming;
    if (!reaches(host)) return;
    const ChangeAnswer told = change(expected, record);
    if (slow && world_.random.chance(300)) return;  // the answer is lost
    world_.after(world_.random.skewed(200, slow ? 800'000 : 8'000),
                 [answer, told] { answer(told); });
  });
}

SimCoordinator::ChangeAnswer SimCoordinator::change(std::uint64_t expected, const Record& record) {
  if (record_.version != expected) return ChangeAnswer::kConflict;
  ++record_.version;
  record_.record = record;
  world_.record_changed(record_);
  return ChangeAnswer::kDone;
}

bool SimCoordinator::set(const VersionedRecord& from, Record record) {
  return !away && change(from.version, record) == ChangeAnswer::kDone;
}

}  // namespace vexor::sim
