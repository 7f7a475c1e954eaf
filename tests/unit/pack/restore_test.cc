// Undoing, restoring and reading the past: refs as they were, with all their objects, or a clear refusal.
#include "store/past_refs.h"
#include "support/repository_fixtures.h"
#include "support/session_run.h"
#include "vexorstore/history.h"
#include "vexorstore/protocol/upload_pack.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

constexpr std::int64_t kDayMs = 24LL * 3600 * 1000;
constexpr std::uint64_t kDay = 24ULL * 3600;

class Restore : public ClockedRepository {
 protected:
  void upkeep(std::uint64_t retention_seconds, std::uint64_t deleted_seconds = 90 * kDay) {
    MaintenanceOptions options = only(MaintenanceTask::kSweep);
    options.tasks = {MaintenanceTask::kSweep, MaintenanceTask::kRedelta, MaintenanceTask::kMerge};
    options.policy->sweep_retention_seconds = retention_seconds;
    options.policy->deleted_retention_seconds = deleted_seconds;
    const auto figures = run_upkeep(*store_, options);
    ASSERT_TRUE(figures.has_value()) << figures.error().message();
  }
  std::map<std::string, std::string> refs(const std::string& name) {
    std::map<std::string, std::string> out;
    const auto list = store_->list_refs(store_->find_repository(name).value()->id).value();
    for (const RefInfo& ref : list) out.emplace(ref.name, ref.id.hex());
    return out;
  }
  std::string error_of(const std::string& name, JournalSequence at) {
    const auto done = restore_repository_at(*store_, name, at, "", {});
    return done.has_value() ? "" : std::string(errc_name(done.error().code())) + ": " + done.error().message();
  }
  // What a client of version 2 is told, or the error of opening.
  std::string ls_refs(JournalSequence at) { return ask(at, "ls-refs", {}); }
  std::string shallow_clone(JournalSequence at, const ObjectId& tip) { return ask(at, "fetch", {"want " + tip.hex(), "deepen 1000", "done"}); }
  std::string ask(JournalSequence at, const std::string& command, const std::vector<std::string>& lines) {
    protocol::UploadPackOptions options;
    options.version = 2;
    options.stateless = true;
    options.as_of = at;
    auto session = protocol::make_upload_pack(*store_, *store_->find_repository("a/b").value(), options);
    if (session.has_error()) return session.error().message();
    std::string request;
    format::append_pkt_line(request, "command=" + command + "\n");
    format::append_delim(request);
    for (const std::string& line : lines) format::append_pkt_line(request, line + "\n");
    format::append_flush(request);
    return run_session(*session.value(), request, request.size());
  }
};

TEST_F(Restore, a_forced_push_and_a_deletion_are_undone) {
  const ObjectId second = push("a/b", "refs/heads/main", main_, 3, main_);
  const ObjectId forced = push("a/b", "refs/heads/main", std::nullopt, 2, second);
  const auto undone = undo_ref(*store_, "a/b", "refs/heads/main", {7, "ann"});
  ASSERT_TRUE(undone.has_value()) << undone.error().message();
  EXPECT_EQ(undone.value().from, forced);
  EXPECT_EQ(undone.value().to, second);
  EXPECT_EQ(refs("a/b")["refs/heads/main"], second.hex());
  ASSERT_TRUE(run_push(*store_, "a/b", delete_request(second, "refs/heads/main")));
  upkeep(90 * kDay);
  ASSERT_TRUE(undo_ref(*store_, "a/b", "refs/heads/main", {}).has_value());
  EXPECT_EQ(refs("a/b")["refs/heads/main"], second.hex());
  expect_sound(*store_, id_);
  // An undo is an update as any other, and that of a deletion made the ref.
  EXPECT_EQ(undo_ref(*store_, "a/b", "refs/heads/main", {}).error().code(), Errc::kRefused);
  push("a/b", "refs/heads/main", std::nullopt, 2, second);
  ASSERT_TRUE(undo_ref(*store_, "a/b", "refs/heads/main", {}).has_value());
  EXPECT_EQ(undo_ref(*store_, "a/b", "refs/heads/main", {}).value().from, second);
}

TEST_F(Restore, undo_refuses_what_it_cannot_do) {
  EXPECT_EQ(undo_ref(*store_, "a/b", "refs/heads/main", {}).error().code(), Errc::kRefused);
  EXPECT_EQ(undo_ref(*store_, "a/b", "refs/heads/never", {}).error().code(), Errc::kNotFound);
  EXPECT_EQ(undo_ref(*store_, "a/c", "refs/heads/main", {}).error().code(), Errc::kNotFound);
  const ObjectId side = push("a/b", "refs/heads/side", main_, 1);
  ASSERT_TRUE(run_push(*store_, "a/b", delete_request(side, "refs/heads/side")));
  push("a/b", "refs/heads/side/more", main_, 1);
  EXPECT_EQ(undo_ref(*store_, "a/b", "refs/heads/side", {}).error().code(), Errc::kConflict);
  EXPECT_EQ(refs("a/b").count("refs/heads/side"), 0U);
}

TEST_F(Restore, all_refs_become_what_they_were_in_one_record) {
  const ObjectId side = push("a/b", "refs/heads/side", main_, 2);
  const JournalSequence then = store_->last_sequence();
  const auto before = refs("a/b");
  const auto objects = visible_objects(*store_, id_);
  ASSERT_TRUE(run_push(*store_, "a/b", delete_request(side, "refs/heads/side")));
  push("a/b", "refs/heads/main", std::nullopt, 2, main_);
  push("a/b", "refs/heads/new", std::nullopt, 2);
  upkeep(90 * kDay);
  const JournalSequence last = store_->last_sequence();
  const auto done = restore_repository_at(*store_, "a/b", then, "", {7, "ann"});
  ASSERT_TRUE(done.has_value()) << done.error().message();
  EXPECT_EQ(done.value().changed_refs, 3U);
  EXPECT_EQ(done.value().sequence, last + 1);
  EXPECT_EQ(store_->last_sequence(), last + 1);
  EXPECT_EQ(refs("a/b"), before);
  EXPECT_EQ(visible_objects(*store_, id_), objects);
  expect_sound(*store_, id_);
  const auto row = family_rows(*backend_, Family::kJournal)[format::journal_key(last + 1)];
  const auto record = format::decode_journal_record(row).value();
  EXPECT_EQ(record.kind, format::OperationKind::kRepositoryRestore);
  EXPECT_EQ(record.actor_name, "ann");
  // The same again changes nothing; and what was undone is a moment as well.
  EXPECT_EQ(restore_repository_at(*store_, "a/b", then, "", {}).value().sequence, 0U);
  ASSERT_TRUE(restore_repository_at(*store_, "a/b", last, "", {}).has_value());
  EXPECT_TRUE(refs("a/b").contains("refs/heads/new"));
  reopen();
  expect_sound(*store_, id_);
}

TEST_F(Restore, into_a_new_repository_that_is_private_and_apart) {
  RepositoryInfo info = *store_->find_repository("a/b").value();
  info.is_public = true;
  ASSERT_TRUE(store_->update_repository(info, {}).has_value());
  const JournalSequence then = store_->last_sequence();
  const auto before = refs("a/b");
  const ObjectId forced = push("a/b", "refs/heads/main", std::nullopt, 2, main_);
  const auto done = restore_repository_at(*store_, "a/b", then, "a/old", {});
  ASSERT_TRUE(done.has_value()) << done.error().message();
  EXPECT_EQ(refs("a/old"), before);
  EXPECT_EQ(refs("a/b")["refs/heads/main"], forced.hex());
  EXPECT_FALSE(done.value().repository.is_public);
  EXPECT_FALSE(visible_objects(*store_, done.value().repository.id).contains(forced.hex()));
  EXPECT_EQ(restore_repository_at(*store_, "a/b", then, "a/old", {}).error().code(), Errc::kConflict);
  EXPECT_EQ(restore_repository_at(*store_, "a/b", then, "nonsense", {}).error().code(), Errc::kInvalidArgument);
  upkeep(0);
  expect_sound(*store_, done.value().repository.id);
  expect_sound(*store_, id_);
}

TEST_F(Restore, a_deleted_repository_as_of_then) {
  const JournalSequence then = store_->last_sequence();
  push("a/b", "refs/heads/main", std::nullopt, 2, main_);
  ASSERT_TRUE(store_->delete_repository("a/b", {}).has_value());
  ASSERT_TRUE(restore_repository_at(*store_, "a/b", then, "", {}).has_value());
  EXPECT_EQ(refs("a/b")["refs/heads/main"], main_.hex());
  EXPECT_NE(error_of("a/b", 0).find("did not exist"), std::string::npos);
  EXPECT_NE(error_of("a/never", then).find("no such repository"), std::string::npos);
  expect_sound(*store_, id_);
}

TEST_F(Restore, what_is_past_the_retention_is_refused_whole) {
  const ObjectId side = push("a/b", "refs/heads/side", main_, 3);
  const JournalSequence then = store_->last_sequence();
  ASSERT_TRUE(run_push(*store_, "a/b", delete_request(side, "refs/heads/side")));
  upkeep(90 * kDay);
  EXPECT_NE(ls_refs(then).find(side.hex()), std::string::npos);
  clock_.now_ms += 91 * kDayMs;
  push("a/b", "refs/heads/other", main_, 1);
  upkeep(90 * kDay);
  const auto now = refs("a/b");
  EXPECT_EQ(error_of("a/b", then), "not_found: objects of that moment are past the retention and gone");
  EXPECT_EQ(ls_refs(then), "objects of that moment are past the retention and gone");
  EXPECT_EQ(undo_ref(*store_, "a/b", "refs/heads/side", {}).error().code(), Errc::kNotFound);
  EXPECT_EQ(refs("a/b"), now);
  expect_sound(*store_, id_);
}

TEST_F(Restore, the_past_is_served_whole_or_refused_at_every_step_of_a_sweep) {
  ObjectId tip = push("a/b", "refs/heads/side", main_, 3);
  for (int i = 0; i < 20; ++i) tip = push("a/b", "refs/heads/side", tip, 3, tip);
  const JournalSequence then = store_->last_sequence();
  ASSERT_TRUE(run_push(*store_, "a/b", delete_request(tip, "refs/heads/side")));
  clock_.now_ms += 91 * kDayMs;
  const auto run = begin_maintenance(*store_, only(MaintenanceTask::kSweep)).value();
  int served = 0;
  int refused = 0;
  for (bool done = false; !done;) {
    const std::string answer = shallow_clone(then, tip);
    const bool is_whole = answer.find("packfile\n") != std::string::npos && answer.ends_with("0000");
    const bool is_told = answer == "objects of that moment are past the retention and gone";
    ASSERT_TRUE(is_whole || is_told) << answer.substr(0, 300);
    ASSERT_FALSE(is_whole && refused > 0) << "what is gone came back";
    ++(is_whole ? served : refused);
    done = run->maintain_some(1).value();
  }
  EXPECT_EQ(shallow_clone(then, tip), "objects of that moment are past the retention and gone");
  EXPECT_GT(served, 1);
  EXPECT_GT(refused, 0);
  expect_sound(*store_, id_);
}

TEST_F(Restore, objects_that_were_swept_and_came_again_have_other_numbers) {
  const Push side = make_push(main_, 50, 3, "refs/heads/side", ObjectId::null(kAlgorithm));
  ASSERT_TRUE(run_push(*store_, "a/b", side.request));
  const JournalSequence then = store_->last_sequence();
  ASSERT_TRUE(run_push(*store_, "a/b", delete_request(side.tip, "refs/heads/side")));
  upkeep(0);
  EXPECT_NE(error_of("a/b", then), "");
  ASSERT_TRUE(run_push(*store_, "a/b", side.request));
  ASSERT_TRUE(run_push(*store_, "a/b", delete_request(side.tip, "refs/heads/side")));
  EXPECT_NE(ls_refs(then).find(side.tip.hex()), std::string::npos);
  EXPECT_EQ(error_of("a/b", then), "");
  EXPECT_EQ(refs("a/b")["refs/heads/side"], side.tip.hex());
  expect_sound(*store_, id_);
}

TEST_F(Restore, a_deleted_repository_keeps_its_objects_for_the_retention) {
  ASSERT_TRUE(store_->fork_repository("a/b", "c/fork", {}).has_value());
  const ObjectId own = push("c/fork", "refs/heads/own", main_, 4);
  ASSERT_TRUE(store_->delete_repository("c/fork", {}).has_value());
  clock_.now_ms += 89 * kDayMs;
  upkeep(0);
  ASSERT_TRUE(store_->restore_repository("c/fork", {}).has_value());
  expect_sound(*store_, store_->find_repository("c/fork").value()->id);
  ASSERT_TRUE(store_->delete_repository("c/fork", {}).has_value());
  clock_.now_ms += 91 * kDayMs;
  upkeep(0);
  const auto refused = store_->restore_repository("c/fork", {});
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().message(), "objects of that moment are past the retention and gone");
  EXPECT_FALSE(family_rows(*backend_, Family::kIndex).contains(format::index_key(id_, own)));
  const auto rebuilt = rebuild_derived(*store_);
  ASSERT_TRUE(rebuilt.has_value()) << rebuilt.error().describe();
  expect_sound(*store_, id_);
}

TEST_F(Restore, a_repository_that_comes_back_during_a_sweep_loses_nothing) {
  ASSERT_TRUE(store_->fork_repository("a/b", "c/fork", {}).has_value());
  push("c/fork", "refs/heads/own", main_, 4);
  ASSERT_TRUE(store_->delete_repository("c/fork", {}).has_value());
  clock_.now_ms += 91 * kDayMs;
  MaintenanceOptions options = only(MaintenanceTask::kSweep);
  const auto run = begin_maintenance(*store_, options).value();
  bool is_back = false;
  for (int step = 0; step < 1000; ++step) {
    const auto done = run->maintain_some(1);
    ASSERT_TRUE(done.has_value()) << done.error().message();
    if (step == 0) is_back = store_->restore_repository("c/fork", {}).has_value();  // marked, nothing erased yet
    if (done.value()) break;
  }
  ASSERT_TRUE(is_back);
  expect_sound(*store_, store_->find_repository("c/fork").value()->id);
}

TEST_F(Restore, the_past_shows_no_later_objects_and_no_hidden_refs) {
  push("a/b", "refs/pull/1", main_, 1);
  const JournalSequence then = store_->last_sequence();
  const ObjectId second = push("a/b", "refs/heads/main", main_, 3, main_);
  const std::string told = ls_refs(then);
  EXPECT_NE(told.find(main_.hex() + " refs/heads/main"), std::string::npos);
  EXPECT_NE(told.find("refs/pull/1"), std::string::npos);
  EXPECT_EQ(told.find(second.hex()), std::string::npos);
  EXPECT_NE(ls_refs(0).find(second.hex()), std::string::npos);  // 0: now
  RepositoryInfo info = *store_->find_repository("a/b").value();
  info.hidden_refs = {"refs/pull/*"};
  ASSERT_TRUE(store_->update_repository(info, {}).has_value());
  EXPECT_EQ(ls_refs(then).find("refs/pull/1"), std::string::npos);
}

TEST_F(Restore, moments_are_times_seconds_and_sequences) {
  const std::int64_t start_ms = clock_.now_ms;
  clock_.now_ms += 5000;
  const ObjectId second = push("a/b", "refs/heads/main", main_, 1, main_);
  const JournalSequence last = store_->last_sequence();
  const auto at = [&](const std::string& text) { return find_moment(*store_, text).value().sequence; };
  EXPECT_EQ(at("2023-11-14T22:13:20Z"), last - 1);
  EXPECT_EQ(at("2023-11-14T23:13:20.000+01:00"), last - 1);
  EXPECT_EQ(at("2023-11-14t22:13:25.0z"), last);
  EXPECT_EQ(at("2023-11-14T22:13:24.999Z"), last - 1);
  EXPECT_EQ(at("2024-02-29 00:00:00Z"), last);  // to come
  EXPECT_EQ(at(std::to_string(start_ms / 1000)), last - 1);
  EXPECT_EQ(at(std::to_string(start_ms / 1000 + 5)), last);
  EXPECT_EQ(at("2"), 2U);
  EXPECT_EQ(at("seq:" + std::to_string(last)), last);
  for (const char* text : {"", "now", "-1", "0x10", "seq:", "seq:x", "2023-11-14", "2023-13-14T22:13:20Z", "2023-02-30T00:00:00Z", "2023-11-14T24:00:00Z",
                           "2023-11-14T22:13:20", "2023-11-14T22:13:20Zx", "2023-11-14T22:13:20.Z", "99999999999999999999", "seq:99"}) {
    const auto moment = find_moment(*store_, text);
    ASSERT_TRUE(moment.has_error()) << text;
    EXPECT_EQ(moment.error().code(), Errc::kInvalidArgument) << text;
  }
  EXPECT_EQ(find_moment(*store_, "1999-01-01T00:00:00Z").error().code(), Errc::kNotFound);
  EXPECT_EQ(find_moment(*store_, std::string(1000, '9')).error().code(), Errc::kInvalidArgument);
  EXPECT_EQ(refs("a/b")["refs/heads/main"], second.hex());
}

}  // namespace
}  // namespace vexor
