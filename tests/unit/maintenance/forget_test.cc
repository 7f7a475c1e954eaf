// Members of a replica set forget by record and drop the bytes later: what nothing reaches goes, on all of them, and nothing that was acknowledged leans on it.
#include "support/forgetting_set.h"
#include "pack/past.h"
#include "support/vector_test.h"
#include "vexorstore/history.h"
#include "vexorstore/purge.h"
#include "vexorstore/snapshot.h"
#include "vexorstore/sys/fault_backend.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

std::vector<std::string> texts(const Roaring& numbers) {
  std::vector<std::string> out;
  for (const std::uint32_t number : numbers) out.push_back(std::to_string(number));
  return out;
}

TEST(ForgottenRows, vectors_whole_and_cut) {
  const auto vectors = family_vectors("forgotten");
  run_row_vectors(
      of_kind(vectors, "forgetting"), [](const Vector&, Bytes bytes) { return store::decode_forgetting_row(bytes); },
      [](const Vector&, const store::ForgettingRow& row) { return store::encode_forgetting_row(row); },
      [](const Vector& vector, const store::ForgettingRow& row) {
        EXPECT_EQ(row.records, vector.number("records"));
        EXPECT_EQ(row.objects, vector.number("objects"));
        EXPECT_EQ(row.end, vector.number("end"));
      });
  run_row_vectors(
      of_kind(vectors, "forgotten"), [](const Vector&, Bytes bytes) { return store::decode_forgotten_row(bytes); },
      [](const Vector&, const store::ForgottenRow& row) { return store::encode_forgotten_row(row); },
      [](const Vector& vector, const store::ForgottenRow& row) {
        EXPECT_EQ(row.time_ms, vector.integer("time_ms"));
        EXPECT_EQ(texts(row.numbers), vector.all("number"));
      });
  run_row_vectors(
      of_kind(vectors, "dropped"), [](const Vector&, Bytes bytes) { return store::decode_dropped_row(bytes); },
      [](const Vector&, const store::DroppedRow& row) { return store::encode_dropped_row(row); },
      [](const Vector& vector, const store::DroppedRow& row) {
        EXPECT_EQ(row.records, vector.number("records"));
        EXPECT_EQ(row.rewrites, vector.number("rewrites"));
        EXPECT_EQ(row.objects, vector.number("objects"));
        EXPECT_EQ(texts(row.kept), vector.all("number"));
      });
  Roaring many;
  many.addRange(0, store::kForgottenPerRecordMax);
  EXPECT_TRUE(store::decode_forgotten_row(store::encode_forgotten_row({1, many})).has_value());
  many.add(store::kForgottenPerRecordMax);
  EXPECT_EQ(store::decode_forgotten_row(store::encode_forgotten_row({1, many})).error().code(), Errc::kCorrupt);
}

TEST_F(Forget, all_members_forget_and_each_drops_the_bytes_by_itself) {
  const Push side = push("refs/heads/side", main_, 1, 7);
  drop(side.tip, "refs/heads/side");
  const std::uint64_t stored = stored_objects(*primary_.backend);
  EXPECT_EQ(forget().objects_forgotten, 9U);
  EXPECT_EQ(forget().objects_forgotten, 0U);
  for (Member* member : {&primary_, &near_, &far_}) {
    EXPECT_FALSE(has(*member, side.tip));
    EXPECT_EQ(stored_objects(*member->backend), stored);
  }
  expect_agreement();
  EXPECT_EQ(drop_bytes(near_), 9U);
  EXPECT_EQ(drop_bytes(near_), 0U);
  EXPECT_EQ(stored_objects(*near_.backend), stored - 9);
  EXPECT_EQ(stored_objects(*far_.backend), stored);
  expect_agreement();
  // It comes again, under other numbers, and goes on.
  request(side.request);
  expect_agreement();
  push("refs/heads/side", side.tip, 2, 3, side.tip);
  EXPECT_EQ(drop_bytes(primary_), 9U);
  EXPECT_EQ(drop_bytes(far_), 9U);
  EXPECT_EQ(forget().objects_forgotten, 0U);
  expect_agreement();
  for (Member* member : {&primary_, &near_, &far_}) member->reopen();
  for (Member* member : {&primary_, &near_, &far_}) expect_sound(*member->store, 1);
}

TEST_F(Forget, nothing_unless_it_is_asked_for_and_within_no_retention) {
  const Push side = push("refs/heads/side", main_, 1, 7);
  drop(side.tip, "refs/heads/side");
  MaintenanceOptions options = forget_only();
  options.policy->forgets_in_set = false;
  EXPECT_EQ(forget(options).objects_forgotten, 0U);
  options = forget_only();
  options.policy->sweep_retention_seconds = 3600;
  EXPECT_EQ(forget(options).objects_forgotten, 0U);
  const std::uint64_t last = near_.log->last().sequence;
  ASSERT_TRUE(run_upkeep(*near_.store, sweep_in_set()).has_value());  // not the primary
  EXPECT_EQ(near_.log->last().sequence, last);
  EXPECT_TRUE(has(near_, side.tip));
  options = sweep_in_set();
  options.policy->forgotten_retention_seconds = 3600;
  EXPECT_EQ(forget(options).objects_forgotten, 9U);
  EXPECT_EQ(stored_objects(*primary_.backend), 7U + 9U);
}

TEST_F(Forget, no_record_forgets_more_than_its_limit) {
  const Push side = push("refs/heads/side", main_, 1, 2 * static_cast<int>(store::kForgottenPerRecordMax));
  drop(side.tip, "refs/heads/side");
  EXPECT_EQ(forget().objects_forgotten, 2U * store::kForgottenPerRecordMax + 2);
  const auto snapshot = near_.backend->snapshot().value();
  const store::ForgettingRow row = store::read_forgetting(*snapshot, 1).value();
  EXPECT_EQ(row.objects, 2U * store::kForgottenPerRecordMax + 2);
  EXPECT_EQ(row.records, 1U + 3U);  // the first one took the bitmap
  Roaring together;
  for (std::uint64_t record = 1; record <= row.records; ++record) {
    const Roaring numbers = store::read_forgotten(*snapshot, 1, record).value().numbers;
    EXPECT_LE(numbers.cardinality(), store::kForgottenPerRecordMax);
    EXPECT_TRUE((together & numbers).isEmpty());
    together |= numbers;
  }
  EXPECT_EQ(together.cardinality(), row.objects);
  EXPECT_EQ(drop_bytes(near_, 4096), row.objects);
  expect_agreement();
}

// It is on the disk still, and maybe on no other member.
TEST_F(Forget, a_thin_pack_whose_base_is_forgotten_while_it_arrives_is_refused) {
  const std::string base_content(500, 'x');
  PackBuilder base_pack;
  const ObjectId base = base_pack.add(ObjectType::kBlob, base_content);
  request(push_request(kNone, base, "refs/tags/base", base_pack.finish()));
  PackBuilder thin;
  const ObjectId top = thin.add_delta(ObjectType::kBlob, base, base_content, base_content + "top");
  const std::string request_text = push_request(kNone, top, "refs/tags/top", thin.finish());
  protocol::ReceivePackOptions options;
  options.stateless = true;
  auto session = protocol::make_receive_pack(*primary_.store, *primary_.store->find_repository("a/b").value(), options).value();
  std::string answer;
  char room[4096];
  std::size_t fed = 0;
  bool forgotten = false;
  while (session->wants() != protocol::Wants::kDone) {
    switch (session->wants()) {
      case protocol::Wants::kInput:
        if (fed + 4 >= request_text.size() && !forgotten) {
          drop(base, "refs/tags/base");
          EXPECT_EQ(forget().objects_forgotten, 1U);
          forgotten = true;
        }
        if (fed == request_text.size()) session->end_of_input();
        else fed += session->feed(Bytes(request_text).substr(fed, forgotten ? 1 : 3));
        break;
      case protocol::Wants::kOutput: answer.append(room, session->drain(room)); break;
      case protocol::Wants::kWork: all([&] { session->run_work(); }); break;
      case protocol::Wants::kDone: break;
    }
  }
  EXPECT_TRUE(forgotten);
  EXPECT_EQ(answer.find("unpack ok"), std::string::npos) << answer;
  EXPECT_FALSE(has(primary_, top));
  expect_agreement();
}

// A hand-over between the step and its record: the next primary has that in its log and has not applied it when the objects come again.
TEST_F(Forget, a_push_leans_on_nothing_that_an_appended_record_forgets) {
  const Push side = push("refs/heads/side", main_, 1, 7);
  drop(side.tip, "refs/heads/side");
  const std::uint64_t before = primary_.log->last().sequence;
  std::thread forgetting([&] { (void)run_upkeep(*primary_.store, forget_only()); });
  for (std::uint64_t next = before + 1; next <= before + 2; ++next) {
    const LogEntry entry = primary_.sink.wait_for(next);
    ship(*primary_.log, *near_.log, entry);
    if (next == before + 2) break;  // the one that has the objects
    ship(*primary_.log, *far_.log, entry);
    for (Member* member : {&primary_, &near_, &far_}) ASSERT_TRUE(member->log->apply(next).has_value());
    primary_.log->settle({next, 3, 3, true, true});
  }
  ASSERT_TRUE(primary_.log->follow().has_value());
  forgetting.join();
  ASSERT_TRUE(near_.log->lead(2, near_.sink).has_value());
  ASSERT_EQ(near_.log->last().sequence, before + 2);
  EXPECT_TRUE(has(near_, side.tip)) << "applied already: the test would show nothing";
  std::atomic<bool> is_done = false;
  bool is_good = false;
  std::thread pushing([&] {
    is_good = run_push(*near_.store, "a/b", side.request);
    is_done = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // that it waits is shown by nothing but time
  EXPECT_FALSE(is_done);
  EXPECT_EQ(near_.log->last().sequence, before + 2) << "the push was judged by what is about to be forgotten";
  ASSERT_TRUE(near_.log->apply(before + 2).has_value());
  const LogEntry pushed = near_.sink.wait_for(before + 3);
  EXPECT_EQ(format::decode_journal_record(pushed.record).value().object_count, 9U);
  ASSERT_TRUE(near_.log->apply(before + 3).has_value());
  near_.log->settle({before + 3, 1, 3, false, false});
  pushing.join();
  EXPECT_TRUE(is_good);
  expect_sound(*near_.store, 1);
  EXPECT_EQ(drop_bytes(near_), 9U);
  expect_sound(*near_.store, 1);
  EXPECT_TRUE(has(near_, side.tip));
  (void)near_.log->follow();
}

// The outcome of a push is not known, so that it holds no pass any more; its record is in the log.
TEST_F(Forget, what_an_appended_push_leans_on_is_not_forgotten) {
  const Push side = push("refs/heads/side", main_, 1, 7);
  drop(side.tip, "refs/heads/side");
  const std::uint64_t before = primary_.log->last().sequence;
  bool is_good = true;
  std::thread pushing([&] { is_good = run_push(*primary_.store, "a/b", side.request); });
  const LogEntry pushed = primary_.sink.wait_for(before + 1);
  ASSERT_EQ(format::decode_journal_record(pushed.record).value().object_count, 0U) << "it leans on nothing: the test would show nothing";
  primary_.log->give_up(before + 1);
  pushing.join();
  EXPECT_FALSE(is_good);
  primary_.store->core().committer->set_applied_wait(std::chrono::milliseconds(100));
  EXPECT_EQ(run_upkeep(*primary_.store, forget_only()).value().objects_forgotten, 0U);
  EXPECT_EQ(primary_.log->last().sequence, before + 1);
  for (Member* member : {&near_, &far_}) ship(*primary_.log, *member->log, pushed);
  for (Member* member : {&primary_, &near_, &far_}) ASSERT_TRUE(member->log->apply(before + 1).has_value());
  EXPECT_EQ(forget().objects_forgotten, 0U);
  EXPECT_TRUE(has(primary_, side.tip));
  expect_agreement();
}

std::string noise(std::size_t bytes) {
  std::string out;
  std::uint32_t state = 1;
  while (out.size() < bytes) {
    state = state * 1664525U + 1013904223U;
    out.push_back(static_cast<char>('a' + (state >> 24U) % 26));
  }
  return out;
}

Push push_of_text(std::size_t bytes, const std::string& ref) {
  PackBuilder pack;
  const ObjectId blob = pack.add(ObjectType::kBlob, noise(bytes));
  const ObjectId tree = pack.add(ObjectType::kTree, std::string("100644 notes") + std::string(1, '\0') + std::string(blob.raw()));
  const ObjectId commit = pack.add(ObjectType::kCommit, "tree " + tree.hex() + "\nauthor A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n\n" + std::to_string(bytes) + "\n");
  return {commit, push_request(kNone, commit, ref, pack.finish())};
}

TEST_F(Forget, bytes_stay_where_a_delta_of_this_member_leans_on_them) {
  const Push shorter = push_of_text(4000, "refs/heads/shorter");
  const Push longer = push_of_text(6000, "refs/heads/longer");
  request(longer.request);
  request(shorter.request);
  ASSERT_TRUE(run_upkeep(*near_.store, only(MaintenanceTask::kRedelta)).has_value());  // makes the shorter one a delta upon the longer one
  drop(longer.tip, "refs/heads/longer");
  EXPECT_EQ(forget().objects_forgotten, 3U);
  EXPECT_EQ(drop_bytes(far_), 3U);
  const std::uint64_t dropped = drop_bytes(near_);
  ASSERT_LT(dropped, 3U) << "nothing leaned on it: the test would show nothing";
  EXPECT_EQ(drop_bytes(near_), 0U);
  expect_agreement();
  // It comes again as another object, and the first one stays as long as it is leaned on.
  request(longer.request);
  expect_agreement();
  drop(longer.tip, "refs/heads/longer");
  drop(shorter.tip, "refs/heads/shorter");
  EXPECT_EQ(forget().objects_forgotten, 6U);
  EXPECT_EQ(drop_bytes(near_), 9U - dropped);
  EXPECT_EQ(drop_bytes(far_), 6U);
  EXPECT_EQ(stored_objects(*near_.backend), 7U);
  EXPECT_EQ(stored_objects(*far_.backend), 7U);
  expect_agreement();
}

// Who lacks a record whose objects are gone takes a copy of a store, and does not get half of it.
TEST_F(Forget, a_record_whose_objects_are_forgotten_is_not_sent_again) {
  const Push side = push("refs/heads/side", main_, 1, 7);
  const std::uint64_t pushed = primary_.log->last().sequence;
  drop(side.tip, "refs/heads/side");
  EXPECT_TRUE(primary_.log->read(pushed).has_value());
  EXPECT_EQ(forget().objects_forgotten, 9U);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(primary_.log->read(pushed).error().code(), Errc::kNotFound);
    EXPECT_EQ(primary_.log->read_rows(pushed).error().code(), Errc::kNotFound);
    EXPECT_EQ(drop_bytes(primary_), round == 0 ? 9U : 0U);
  }
  EXPECT_TRUE(primary_.log->read(pushed - 1).has_value());
  EXPECT_TRUE(primary_.log->read(primary_.log->last().sequence).has_value());
}

TEST_F(Forget, forks_and_restored_refs_keep_theirs) {
  all([&] { EXPECT_TRUE(primary_.store->fork_repository("a/b", "c/fork", {}).has_value()); });
  const RepositoryId fork = primary_.store->find_repository("c/fork").value()->id;
  const Push theirs = push("refs/heads/theirs", main_, 1, 3, kNone, "c/fork");
  const std::uint64_t then = primary_.log->last().sequence;
  EXPECT_EQ(forget().objects_forgotten, 0U);
  drop(theirs.tip, "refs/heads/theirs", "c/fork");
  all([&] { EXPECT_TRUE(undo_ref(*primary_.store, "c/fork", "refs/heads/theirs", {}).has_value()); });
  EXPECT_EQ(forget().objects_forgotten, 0U);
  drop(theirs.tip, "refs/heads/theirs", "c/fork");
  EXPECT_EQ(forget().objects_forgotten, 5U);
  all([&] {
    EXPECT_EQ(undo_ref(*primary_.store, "c/fork", "refs/heads/theirs", {}).error().code(), Errc::kNotFound);
    EXPECT_EQ(restore_repository_at(*primary_.store, "c/fork", then, "", {}).error().code(), Errc::kNotFound);
  });
  for (Member* member : {&primary_, &near_, &far_}) {
    EXPECT_EQ(pack::open_past_snapshot(member->store->core(), fork, then).error().code(), Errc::kNotFound);
    expect_sound(*member->store, fork);
  }
  // A deleted repository past its retention.
  all([&] { EXPECT_TRUE(primary_.store->delete_repository("a/b", {}).has_value()); });
  EXPECT_EQ(forget().objects_forgotten, 0U);  // the fork has them
  all([&] { EXPECT_TRUE(primary_.store->restore_repository("a/b", {}).has_value()); });
  expect_agreement();
}

// Making the index anew finds the bytes of what was forgotten; nor are numbers given out again whose shapes it cannot make anew.
TEST_F(Forget, rows_that_are_made_anew_lead_to_nothing_forgotten) {
  const Push side = push("refs/heads/side", main_, 1, 7);
  drop(side.tip, "refs/heads/side");
  EXPECT_EQ(forget().objects_forgotten, 9U);
  EXPECT_EQ(drop_bytes(far_), 9U);
  for (Member* member : {&near_, &far_}) {
    ASSERT_TRUE(rebuild_derived(*member->store).has_value());
    EXPECT_FALSE(has(*member, side.tip));
  }
  expect_agreement();
  EXPECT_EQ(store::end_of_numbers(*far_.backend->snapshot().value(), 1).value(), 16U);
  EXPECT_EQ(drop_bytes(near_), 9U);
  request(side.request);
  expect_agreement();
}

// The comparison with the journal passes over what was forgotten, and over nothing else.
TEST_F(Forget, what_is_missing_and_not_forgotten_is_noticed) {
  PackBuilder pack;
  const ObjectId kept = add_commit(pack, main_, 1, 3);
  const ObjectId other = add_commit(pack, main_, 2, 3);
  std::string text;
  format::append_pkt_line(text, kNone.hex() + " " + kept.hex() + " refs/heads/kept" + std::string(1, '\0') + " report-status");
  format::append_pkt_line(text, kNone.hex() + " " + other.hex() + " refs/heads/other");
  format::append_flush(text);
  request(text + pack.finish());
  drop(other, "refs/heads/other");
  EXPECT_EQ(forget(sweep_in_set()).objects_forgotten, 5U);
  EXPECT_EQ(drop_bytes(near_), 5U);
  expect_agreement();
  // An object beside them is gone, with all rows that lead to it.
  const auto now = store::open_repository_snapshot(near_.store->core(), 1).value();
  pack::ObjectReader reader(now.snapshot, 1, kAlgorithm, Limits{});
  const format::ObjectNumber number = *reader.find(kept).value();
  sys::Batch batch;
  for (const auto& [key, value] : family_rows(*near_.backend, Family::kExtents)) {
    const auto first = format::number_of_key(key).value();
    format::ExtentHeader header = format::decode_extent_header(first, kAlgorithm, value).value();
    if (number < first || number - first >= header.objects.size()) continue;
    batch.erase(Family::kExtents, key);
    for (const auto& object : header.objects) {
      if (!object.is_absent) batch.erase(Family::kIndex, format::index_key(1, object.id));
    }
  }
  ASSERT_FALSE(batch.empty());
  ASSERT_TRUE(near_.backend->commit(batch, sys::Durability::kSynced).has_value());
  EXPECT_GT(scrubbed_damage(*near_.store), 0U);
}

TEST_F(Forget, a_purge_takes_the_rows_along) {
  const Push side = push("refs/heads/side", main_, 1, 7);
  drop(side.tip, "refs/heads/side");
  EXPECT_EQ(forget(sweep_in_set()).objects_forgotten, 9U);
  EXPECT_EQ(drop_bytes(near_), 9U);
  const auto rows = [](Member& member) {
    std::size_t out = 0;
    for (const Family family : {Family::kRepositories, Family::kMeta}) {
      for (const auto& [key, value] : family_rows(*member.backend, family)) out += key[0] == 'f' ? 1U : 0U;
    }
    return out;
  };
  EXPECT_EQ(rows(near_), 4U);  // the pool's, two records', and what is dropped
  const PurgePolicy policy{{"ann", "bob"}, 60};
  all([&] { EXPECT_TRUE(primary_.store->delete_repository("a/b", {}).has_value()); });
  std::uint64_t asked = 0;
  all([&] { asked = request_purge(*primary_.store, policy, "a/b", "law", {101, "ann"}).value().request; });
  all([&] { EXPECT_TRUE(approve_purge(*primary_.store, policy, asked, {102, "bob"}).has_value()); });
  for (Member* member : {&primary_, &near_, &far_}) {
    EXPECT_EQ(rows(*member), 0U);
    EXPECT_EQ(drop_bytes(*member), 0U);
    const auto work = PurgeWork::begin(*member->store, {});
    for (int i = 0; i < 1000 && work->work(1U << 20U).value() != PurgeWork::Step::kIdle; ++i) continue;
    for (const auto& [key, value] : family_rows(*member->backend, Family::kJournal)) EXPECT_EQ(value.find(std::string(side.tip.raw())), std::string::npos) << "of the record that forgot it";
    EXPECT_EQ(scrubbed_damage(*member->store), 0U);
  }
}

TEST_F(Forget, what_the_primary_forgot_comes_back_from_who_kept_the_bytes) {
  const Push side = push("refs/heads/side", main_, 1, 7);
  const Push more = push("refs/heads/side", side.tip, 2, 1200, side.tip);
  const auto refs = primary_.store->list_refs(1).value();
  const auto objects = visible_objects(*primary_.store, 1);
  const std::uint64_t then = primary_.log->last().sequence;
  push("refs/heads/side", main_, 3, 2, more.tip);  // forced
  EXPECT_EQ(forget(sweep_in_set()).objects_forgotten, 9U + 1202U);
  EXPECT_EQ(drop_bytes(near_), 9U + 1202U);
  all([&] { EXPECT_EQ(restore_repository_at(*primary_.store, "a/b", then, "", {}).error().code(), Errc::kNotFound); });
  EXPECT_EQ(recalled_pack(*primary_.store, "a/b", then).error().code(), Errc::kNotFound);
  EXPECT_EQ(recalled_pack(*far_.store, "a/b", 0).error().code(), Errc::kNotFound);
  EXPECT_EQ(recalled_pack(*far_.store, "a/none", then).error().code(), Errc::kNotFound);
  const auto pack = recalled_pack(*far_.store, "a/b", then);
  ASSERT_TRUE(pack.has_value()) << pack.error().message();
  EXPECT_EQ(take_recalled(*primary_.store, "a/b", pack.value().substr(0, pack.value().size() - 1)).error().code(), Errc::kProtocol);
  all([&] {
    const auto taken = take_recalled(*primary_.store, "a/b", pack.value());
    ASSERT_TRUE(taken.has_value()) << taken.error().message();
    EXPECT_EQ(taken.value(), 9U + 1202U);
  });
  EXPECT_FALSE(open_snapshot(*primary_.store, 1).value()->find_object(side.tip).value().has_value()) << "no ref reaches it yet";
  all([&] { EXPECT_TRUE(restore_repository_at(*primary_.store, "a/b", then, "", {}).has_value()); });
  for (Member* member : {&primary_, &near_, &far_}) {
    const auto restored = member->store->list_refs(1).value();
    ASSERT_EQ(restored.size(), refs.size());
    for (std::size_t i = 0; i < refs.size(); ++i) EXPECT_EQ(restored[i].id, refs[i].id) << refs[i].name;
    EXPECT_EQ(visible_objects(*member->store, 1), objects);
  }
  expect_agreement();
  EXPECT_EQ(drop_bytes(far_), 9U + 1202U);  // of the first time
  push("refs/heads/side", more.tip, 4, 3, more.tip);
  expect_agreement();
}

TEST_F(Forget, a_deleted_repository_comes_back_and_so_does_a_part_that_is_still_here) {
  const Push old = push("refs/heads/old", std::nullopt, 1, 4);
  const Push young = push("refs/heads/old", old.tip, 2, 4, old.tip);
  const auto objects = visible_objects(*primary_.store, 1);
  const std::uint64_t then = primary_.log->last().sequence;
  all([&] { EXPECT_TRUE(primary_.store->delete_repository("a/b", {}).has_value()); });
  EXPECT_EQ(forget(sweep_in_set()).objects_forgotten, 7U + 12U);
  EXPECT_EQ(drop_bytes(near_), 19U);
  const auto pack = recalled_pack(*far_.store, "a/b", then);
  ASSERT_TRUE(pack.has_value()) << pack.error().message();
  for (const std::uint64_t expected : {std::uint64_t{19}, std::uint64_t{0}}) {  // once more changes nothing
    all([&] {
      const auto taken = take_recalled(*primary_.store, "a/b", pack.value());
      ASSERT_TRUE(taken.has_value()) << taken.error().message();
      EXPECT_EQ(taken.value(), expected);
    });
  }
  all([&] {
    const auto restored = restore_repository_at(*primary_.store, "a/b", then, "", {});
    ASSERT_TRUE(restored.has_value()) << restored.error().message();
  });
  for (Member* member : {&primary_, &near_, &far_}) EXPECT_EQ(visible_objects(*member->store, 1), objects);
  expect_agreement();
  EXPECT_TRUE(has(primary_, young.tip));
}

// As long as a fork has the objects, a purged record that forgot goes on saying so.
TEST(ForgetRecord, its_purged_form_keeps_what_it_says_of_objects) {
  for (const Vector& vector : family_vectors("journal")) {
    if (vector.name != "forget") continue;
    const format::JournalRecord record = format::decode_journal_record(vector.bytes).value();
    const format::JournalRecord kept = format::purged_form(record, 9, std::string(32, 'h'), true);
    EXPECT_EQ(kept.changes.size(), record.changes.size());
    EXPECT_EQ(kept.pool, record.pool);
    EXPECT_TRUE(format::purged_form(record, 9, std::string(32, 'h'), false).changes.empty());
    return;
  }
  FAIL() << "no such vector";
}

// Each changing operation of a member fails once, before and after it happened, while it drops bytes.
TEST(ForgetCrash, drop_at_every_operation) {
  for (const auto mode : {sys::FaultBackend::Mode::kBefore, sys::FaultBackend::Mode::kAfter}) {
    for (std::uint64_t n = 1;; ++n) {
      SCOPED_TRACE("operation " + std::to_string(n));
      const auto memory = sys::make_memory_backend();
      {
        Member leader;
        ASSERT_TRUE(leader.log->lead(1, leader.sink).has_value());
        auto store = open(*memory);
        auto log = std::move(join_replica_set(*store)).value();
        std::uint64_t taken = 0;
        const auto run = [&](const std::function<void()>& change) {
          replicate(leader, {}, change);
          while (taken < leader.log->last().sequence) {
            ship(*leader.log, *log, leader.sink.wait_for(++taken));
            ASSERT_TRUE(log->apply(taken).has_value());
          }
        };
        run([&] { ASSERT_TRUE(leader.store->create_repository("a/b", {}, {}).has_value()); });
        const Push base = make_push(std::nullopt, 0, 3, "refs/heads/main", kNone);
        run([&] { ASSERT_TRUE(run_push(*leader.store, "a/b", base.request)); });
        for (int i = 0; i < 6; ++i) {
          const std::string ref = "refs/heads/side" + std::to_string(i);
          const Push side = make_push(base.tip, 100 + i, i == 3 ? 1200 : 5, ref, kNone);
          run([&] { ASSERT_TRUE(run_push(*leader.store, "a/b", side.request)); });
          if (i % 2 == 1) run([&] { ASSERT_TRUE(run_push(*leader.store, "a/b", delete_request(side.tip, ref))); });
        }
        run([&] { ASSERT_TRUE(run_upkeep(*leader.store, forget_only()).has_value()); });
        (void)leader.log->follow();
      }
      bool failed = false;
      std::map<std::string, std::string> before;
      {
        sys::FaultBackend faulty(*memory);
        auto store = open(faulty);
        before = visible_objects(*store, 1);
        faulty.fail_at(n, mode);
        const auto done = run_upkeep(*store, sweep_in_set(), 2048);
        failed = faulty.has_failed();
        EXPECT_EQ(done.has_error(), failed);
      }
      auto store = open(*memory);
      for (int pass = 0; pass < 2; ++pass) {
        EXPECT_EQ(visible_objects(*store, 1), before);
        expect_sound(*store, 1);
        EXPECT_EQ(scrubbed_damage(*store), 0U);
        ASSERT_TRUE(run_upkeep(*store, sweep_in_set(), 2048).has_value());
      }
      EXPECT_EQ(stored_objects(*memory), before.size());
      const auto snapshot = memory->snapshot().value();
      EXPECT_EQ(store::read_dropped(*snapshot, 1).value().objects, store::read_forgetting(*snapshot, 1).value().objects);
      if (HasFailure()) return;
      if (!failed) {
        EXPECT_GT(n, 3U) << "nothing was written";
        break;
      }
      ASSERT_LT(n, 1000U);
    }
  }
}

}  // namespace
}  // namespace vexor
