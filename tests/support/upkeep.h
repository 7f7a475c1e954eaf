// Running maintenance to its end, and what must be the same before and after it.
#pragma once

#include <map>

#include "pack/object_reader.h"
#include "pack/reachability.h"
#include "support/push_builder.h"
#include "vexorstore/maintenance.h"

namespace vexor::test {

inline MaintenanceOptions only(MaintenanceTask task) {
  MaintenanceOptions options;
  options.tasks = {task};
  options.policy.emplace();
  options.policy->sweep_retention_seconds = 0;
  options.policy->forgotten_retention_seconds = 0;
  options.policy->redelta_growth_percent = 0;
  options.policy->freeze_idle_seconds = 0;
  options.policy->thaw_fetches = 0;
  options.policy->compact_bytes_min = 0;
  return options;
}

// Steps of `bytes`, so that a pass is cut into many.
inline Result<MaintenanceFigures> run_upkeep(Store& store, const MaintenanceOptions& options, std::uint64_t bytes = 1U << 30U) {
  VEXOR_TRY(const auto run, begin_maintenance(store, options));
  for (;;) {
    VEXOR_TRY(const bool done, run->maintain_some(bytes));
    if (done) return run->figures();
  }
}

// Every object that the repository sees, by id; read and hashed.
inline std::map<std::string, std::string> visible_objects(Store& store, RepositoryId id) {
  std::map<std::string, std::string> out;
  const auto now = store::open_repository_snapshot(store.core(), id).value();
  pack::ObjectReader reader(now.snapshot, now.row.pool, now.row.algorithm, Limits{});
  const auto visible = pack::visible_set(store.core(), now, reader).value();
  for (const std::uint32_t number : *visible) {
    const auto entry = reader.entry(number);
    EXPECT_TRUE(entry.has_value()) << number << ": " << entry.error().message();
    const auto content = reader.read(number);
    EXPECT_TRUE(content.has_value()) << number << ": " << content.error().message();
    if (entry.has_error() || content.has_error()) continue;
    EXPECT_EQ(hash_object(now.row.algorithm, entry.value().object.type, *content.value()).value(), entry.value().object.id);
    out.emplace(entry.value().object.id.hex(), *content.value());
  }
  return out;
}

inline std::string bundle_of(Store& store, RepositoryId id) {
  std::string out;
  const auto done = export_bundle(store, id, [&](Bytes piece) -> Result<void> {
    out += piece;
    return success();
  });
  EXPECT_TRUE(done.has_value()) << done.error().message();
  return out;
}

inline void expect_sound(Store& store, RepositoryId id) {
  const auto report = verify_repository(store, id);
  ASSERT_TRUE(report.has_value()) << report.error().message();
  EXPECT_EQ(report.value().problem_count, 0U) << report.value().problems[0];
}

inline std::map<std::string, std::string> family_rows(sys::StorageBackend& backend, sys::Family family) {
  std::map<std::string, std::string> out;
  const auto snapshot = backend.snapshot().value();
  const auto cursor = snapshot->cursor(family);
  for (cursor->seek({}); cursor->valid(); cursor->next()) out.emplace(cursor->key(), cursor->value());
  return out;
}

}  // namespace vexor::test
