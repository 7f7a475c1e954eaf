// Three members of a replica set that forget by record, for tests.
#pragma once

#include "format/extent.h"
#include "store/forgotten.h"
#include "support/replica_pair.h"
#include "support/upkeep.h"
#include "vexorstore/recall.h"

namespace vexor::test {

using sys::Family;

inline const ObjectId kNone = ObjectId::null(kAlgorithm);

inline MaintenanceOptions sweep_in_set() {
  MaintenanceOptions options = only(MaintenanceTask::kSweep);
  options.policy->forgets_in_set = true;
  options.policy->deleted_retention_seconds = 0;
  return options;
}

// Extents stay until they are dropped.
inline MaintenanceOptions forget_only() {
  MaintenanceOptions options = sweep_in_set();
  options.policy->forgotten_retention_seconds = UINT64_MAX;
  return options;
}

inline std::uint64_t stored_objects(sys::StorageBackend& backend) {
  std::uint64_t out = 0;
  for (const auto& [key, value] : family_rows(backend, Family::kExtents)) {
    if (!format::has_extent_header(key)) continue;
    const format::ExtentHeader header = format::decode_extent_header(format::number_of_key(key).value(), kAlgorithm, value).value();
    for (const auto& object : header.objects) out += object.is_absent ? 0U : 1U;
  }
  return out;
}

inline std::uint64_t scrubbed_damage(Store& store) {
  MaintenanceOptions options = only(MaintenanceTask::kScrub);
  options.policy->scrub_interval_seconds = 0;
  const auto figures = run_upkeep(store, options);
  EXPECT_TRUE(figures.has_value()) << figures.error().message();
  return figures.has_value() ? figures.value().damage_found : 1;
}

// State, and what derives from it: the same on all members, whatever their extents look like.
inline std::map<std::string, std::string> agreed_rows(sys::StorageBackend& backend) {
  std::map<std::string, std::string> out = all_rows(backend);
  std::erase_if(out, [](const auto& row) { return row.first.starts_with("extents ") || row.first.starts_with("shapes "); });
  return out;
}

// Three members, of which the first leads. Repository a/b, number 1, with a push to main of 5 blobs.
class Forget : public testing::Test {
 protected:
  Forget() {
    EXPECT_TRUE(primary_.log->lead(1, primary_.sink).has_value());
    all([&] { EXPECT_TRUE(primary_.store->create_repository("a/b", {}, {}).has_value()); });
    main_ = push("refs/heads/main", std::nullopt, 0, 5).tip;
  }
  ~Forget() override { (void)primary_.log->follow(); }

  template <class F>
  void all(F change) { replicate(primary_, {&near_, &far_}, change); }
  Push push(const std::string& ref, std::optional<ObjectId> parent, int round, int blobs, const ObjectId& old = kNone, const std::string& name = "a/b") {
    const Push made = make_push(parent, round, blobs, ref, old);
    all([&] { EXPECT_TRUE(run_push(*primary_.store, name, made.request)); });
    return made;
  }
  void request(const std::string& text, const std::string& name = "a/b") {
    all([&] { EXPECT_TRUE(run_push(*primary_.store, name, text)); });
  }
  void drop(const ObjectId& old, const std::string& ref, const std::string& name = "a/b") { request(delete_request(old, ref), name); }
  MaintenanceFigures forget(const MaintenanceOptions& options = forget_only(), std::uint64_t bytes = 1U << 30U) {
    MaintenanceFigures out;
    all([&] {
      const auto figures = run_upkeep(*primary_.store, options, bytes);
      EXPECT_TRUE(figures.has_value()) << figures.error().message();
      if (figures.has_value()) out = figures.value();
    });
    return out;
  }
  // Of what was forgotten; returns how many objects lost their bytes.
  static std::uint64_t drop_bytes(Member& member, std::uint64_t bytes = 1U << 30U) {
    MaintenanceOptions options = sweep_in_set();
    options.policy->forgets_in_set = false;
    const auto figures = run_upkeep(*member.store, options, bytes);
    EXPECT_TRUE(figures.has_value()) << figures.error().message();
    return figures.has_value() ? figures.value().objects_swept : 0;
  }
  static bool has(Member& member, const ObjectId& id) { return family_rows(*member.backend, Family::kIndex).contains(format::index_key(1, id)); }
  void expect_agreement() {
    EXPECT_TRUE(agreed_rows(*near_.backend) == agreed_rows(*primary_.backend));
    EXPECT_TRUE(agreed_rows(*far_.backend) == agreed_rows(*primary_.backend));
    const auto objects = visible_objects(*primary_.store, 1);
    for (Member* member : {&primary_, &near_, &far_}) {
      EXPECT_TRUE(visible_objects(*member->store, 1) == objects);
      expect_sound(*member->store, 1);
      EXPECT_EQ(scrubbed_damage(*member->store), 0U);
    }
  }

  Member primary_, near_, far_;
  ObjectId main_;
};

inline Result<std::string> recalled_pack(Store& store, const std::string& name, JournalSequence sequence) {
  VEXOR_TRY(const auto session, make_recall_session(store, name, sequence));
  std::string out;
  char room[1000];
  while (session->wants() != protocol::Wants::kDone) {
    if (session->wants() == protocol::Wants::kWork) session->run_work();
    else out.append(room, session->drain(room));
  }
  if (const Error* why = session->failure()) return why->clone();
  return out;
}

inline Result<std::uint64_t> take_recalled(Store& store, const std::string& name, const std::string& pack) {
  VEXOR_TRY(const auto taker, make_recall_taker(store, name));
  for (std::size_t at = 0; at < pack.size(); at += 777) {
    VEXOR_TRY(taker->feed(Bytes(pack).substr(at, 777)));
  }
  return taker->finish({});
}

}  // namespace vexor::test
