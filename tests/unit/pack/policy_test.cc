// What a repository's settings allow a push to do, and what its readers may see.
#include <map>

#include "support/push_builder.h"
#include "support/session_run.h"
#include "vexorstore/protocol/receive_pack.h"
#include "vexorstore/transaction.h"

namespace vexor {
namespace {

using namespace test;

class Policy : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store->create_repository("a/b", {}, {}).has_value());
    first = make_push(std::nullopt, 1, 2, "refs/heads/main", none);
    ASSERT_TRUE(run_push(*store, "a/b", first.request));
  }
  RepositoryInfo info() { return *store->find_repository("a/b").value(); }
  std::string delete_request(const std::string& ref, const ObjectId& old_id) {
    std::string out;
    format::append_pkt_line(out, old_id.hex() + " " + none.hex() + " " + ref + std::string(1, '\0') + " report-status delete-refs");
    format::append_flush(out);
    return out;
  }

  const ObjectId none = ObjectId::null(kAlgorithm);
  std::unique_ptr<sys::StorageBackend> memory = sys::make_memory_backend();
  std::unique_ptr<Store> store = open(*memory);
  Push first;
};

TEST_F(Policy, protected_ref_takes_fast_forwards_only_and_stays) {
  RepositoryInfo settings = info();
  settings.protect.push_back({"refs/heads/main", true, true, {}});
  ASSERT_TRUE(store->update_repository(settings, {}).has_value());
  const Push unrelated = make_push(std::nullopt, 9, 2, "refs/heads/main", first.tip);
  EXPECT_FALSE(run_push(*store, "a/b", unrelated.request));
  EXPECT_FALSE(run_push(*store, "a/b", delete_request("refs/heads/main", first.tip)));
  EXPECT_TRUE(run_push(*store, "a/b", make_push(first.tip, 2, 2, "refs/heads/main", first.tip).request));
}

// A set computed for a tip that was refused has no stored bitmap: nothing may build on it.
TEST_F(Policy, a_refused_update_leaves_nothing_that_later_ones_build_on) {
  const Push second = make_push(first.tip, 2, 40, "refs/heads/main", first.tip);
  ASSERT_TRUE(run_push(*store, "a/b", second.request));
  const Push third = make_push(second.tip, 3, 40, "refs/heads/main", second.tip);
  ASSERT_TRUE(run_push(*store, "a/b", third.request));
  RepositoryInfo settings = info();
  settings.protect.push_back({"refs/heads/main", true, true, {}});
  ASSERT_TRUE(store->update_repository(settings, {}).has_value());
  std::string back;
  format::append_pkt_line(back, third.tip.hex() + " " + first.tip.hex() + " refs/heads/main" + std::string(1, '\0') + " report-status");
  format::append_flush(back);
  std::string sideways = back;
  sideways.replace(4 + 41, 40, second.tip.hex());
  const std::string empty_pack = PackBuilder().finish();
  EXPECT_FALSE(run_push(*store, "a/b", sideways + empty_pack));
  EXPECT_FALSE(run_push(*store, "a/b", back + empty_pack));
  settings = info();
  settings.protect.clear();
  ASSERT_TRUE(store->update_repository(settings, {}).has_value());
  EXPECT_TRUE(run_push(*store, "a/b", sideways + empty_pack));
  EXPECT_TRUE(run_push(*store, "a/b", make_push(second.tip, 4, 3, "refs/heads/main", second.tip).request));
  EXPECT_TRUE(run_push(*store, "a/b", make_push(first.tip, 5, 3, "refs/heads/side", none).request));
}

TEST_F(Policy, only_named_users_may_update) {
  RepositoryInfo settings = info();
  settings.protect.push_back({"refs/heads/*", false, false, {"ann"}});
  ASSERT_TRUE(store->update_repository(settings, {}).has_value());
  EXPECT_FALSE(run_push(*store, "a/b", make_push(first.tip, 2, 2, "refs/heads/main", first.tip).request));  // the operator is not ann
}

TEST_F(Policy, hidden_refs_are_neither_taken_nor_readable) {
  const Push hidden = make_push(first.tip, 2, 2, "refs/internal/x", none);
  ASSERT_TRUE(run_push(*store, "a/b", hidden.request));
  EXPECT_TRUE(store->read_object(info().id, hidden.tip, nullptr).has_value());
  RepositoryInfo settings = info();
  settings.hidden_refs = {"refs/internal/"};
  ASSERT_TRUE(store->update_repository(settings, {}).has_value());
  EXPECT_FALSE(store->read_object(info().id, hidden.tip, nullptr).has_value());
  EXPECT_TRUE(store->read_object(info().id, first.tip, nullptr).has_value());
  EXPECT_FALSE(run_push(*store, "a/b", make_push(first.tip, 3, 2, "refs/internal/y", none).request));
}

TEST_F(Policy, a_conflict_does_not_tell_of_a_hidden_ref) {
  ASSERT_TRUE(run_push(*store, "a/b", make_push(first.tip, 2, 2, "refs/internal/secret", none).request));
  RepositoryInfo settings = info();
  settings.hidden_refs = {"refs/internal/*"};
  ASSERT_TRUE(store->update_repository(settings, {}).has_value());
  protocol::ReceivePackOptions options;
  options.stateless = true;
  const auto session = protocol::make_receive_pack(*store, info(), options).value();
  const std::string answer = run_session(*session, make_push(first.tip, 3, 2, "refs/internal", none).request);
  EXPECT_NE(answer.find("directory/file conflict"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("secret"), std::string::npos) << answer;
}

TEST_F(Policy, a_stale_old_id_is_refused) {
  const Push second = make_push(first.tip, 2, 2, "refs/heads/main", first.tip);
  ASSERT_TRUE(run_push(*store, "a/b", second.request));
  EXPECT_FALSE(run_push(*store, "a/b", make_push(first.tip, 3, 2, "refs/heads/main", first.tip).request));
  EXPECT_FALSE(run_push(*store, "a/b", make_push(second.tip, 3, 2, "refs/heads/main", none).request));
}

TEST_F(Policy, a_deleted_repository_comes_back_whole_and_forks_live_on) {
  ASSERT_TRUE(store->fork_repository("a/b", "c/b", {}).has_value());
  ASSERT_TRUE(store->delete_repository("a/b", {}).has_value());
  EXPECT_FALSE(run_push(*store, "a/b", first.request));
  EXPECT_TRUE(store->read_object(store->find_repository("c/b").value()->id, first.tip, nullptr).has_value());
  ASSERT_TRUE(store->create_repository("a/b", {}, {}).has_value());
  EXPECT_FALSE(store->restore_repository("a/b", {}).has_value());  // the name is taken
  ASSERT_TRUE(store->rename_repository("a/b", "a/new", {}).has_value());
  ASSERT_TRUE(store->restore_repository("a/b", {}).has_value());
  ObjectType type{};
  const auto commit = store->read_object(info().id, first.tip, &type);
  ASSERT_TRUE(commit.has_value());
  EXPECT_EQ(type, ObjectType::kCommit);
  EXPECT_EQ(hash_object(kAlgorithm, type, commit.value()).value(), first.tip);
}

TEST_F(Policy, a_repository_may_have_so_many_refs) {
  RepositoryInfo settings = info();
  settings.refs_max = 3;
  ASSERT_TRUE(store->update_repository(settings, {}).has_value());
  EXPECT_EQ(info().refs_max, 3U);
  const auto creation = [&](const std::vector<std::string>& names, const std::string& more) {
    std::string out;
    for (const std::string& name : names) {
      format::append_pkt_line(out, none.hex() + " " + first.tip.hex() + " " + name + (out.empty() ? std::string(1, '\0') + " report-status" + more : ""));
    }
    format::append_flush(out);
    return out + PackBuilder().finish();
  };
  EXPECT_FALSE(run_push(*store, "a/b", creation({"refs/heads/1", "refs/heads/2", "refs/heads/3"}, " atomic")));
  EXPECT_EQ(store->list_refs(info().id).value().size(), 2U);  // HEAD, main
  EXPECT_FALSE(run_push(*store, "a/b", creation({"refs/heads/1", "refs/tags/2", "refs/heads/3"}, "")));  // two of them found a place
  EXPECT_EQ(store->list_refs(info().id).value().size(), 4U);
  EXPECT_FALSE(run_push(*store, "a/b", creation({"refs/heads/4"}, "")));
  const Push second = make_push(first.tip, 2, 2, "refs/heads/main", first.tip);
  EXPECT_TRUE(run_push(*store, "a/b", second.request));  // no new ref
  EXPECT_TRUE(run_push(*store, "a/b", delete_request("refs/tags/2", first.tip)) || run_push(*store, "a/b", delete_request("refs/heads/1", first.tip)));
  EXPECT_TRUE(run_push(*store, "a/b", creation({"refs/heads/4"}, "")));
  settings = info();
  settings.refs_max = 0;
  ASSERT_TRUE(store->update_repository(settings, {}).has_value());
  EXPECT_TRUE(run_push(*store, "a/b", creation({"refs/heads/5"}, "")));
}

TEST_F(Policy, the_store_s_own_limit_of_refs_holds_too) {
  StoreOptions options;
  options.limits.refs_per_repository_max = 1;
  store = Store::open(std::make_unique<Forwarding>(*memory), options).value();
  EXPECT_FALSE(run_push(*store, "a/b", make_push(first.tip, 2, 2, "refs/heads/more", none).request));
  EXPECT_TRUE(run_push(*store, "a/b", make_push(first.tip, 2, 2, "refs/heads/main", first.tip).request));
}

TEST_F(Policy, a_repository_s_own_limits_of_bytes) {
  RepositoryInfo settings = info();
  settings.pack_bytes_max = 400;
  ASSERT_TRUE(store->update_repository(settings, {}).has_value());
  EXPECT_FALSE(run_push(*store, "a/b", make_push(first.tip, 2, 40, "refs/heads/main", first.tip).request));
  EXPECT_TRUE(run_push(*store, "a/b", make_push(first.tip, 3, 1, "refs/heads/small", none).request));
  settings.pack_bytes_max = 0;
  settings.object_bytes_max = 10;  // of a blob: "round 4 file 0" has 14
  ASSERT_TRUE(store->update_repository(settings, {}).has_value());
  EXPECT_FALSE(run_push(*store, "a/b", make_push(first.tip, 4, 1, "refs/heads/blob", none).request));
  settings.object_bytes_max = 14;
  ASSERT_TRUE(store->update_repository(settings, {}).has_value());
  EXPECT_TRUE(run_push(*store, "a/b", make_push(first.tip, 4, 1, "refs/heads/blob", none).request));
  const auto begun = begin_transaction(*store, info().id, {});  // the host's own writes obey them as well
  ASSERT_TRUE(begun.has_value());
  const ObjectId blob = begun.value()->write_object(ObjectType::kBlob, "fifteen octets!").value();
  ASSERT_TRUE(begun.value()->update_ref({"refs/notes/x", none, blob}).has_value());
  const auto done = begun.value()->commit();
  ASSERT_TRUE(done.has_error());
  EXPECT_EQ(done.error().code(), Errc::kLimitExceeded);
}

TEST_F(Policy, a_branch_must_be_a_commit_and_refs_must_have_good_names) {
  PackBuilder pack;
  const ObjectId blob = pack.add(ObjectType::kBlob, "x");
  for (const std::string ref : {"refs/heads/blob", "refs/heads/a..b", "HEAD", "refs/../x"}) {
    std::string request;
    format::append_pkt_line(request, none.hex() + " " + blob.hex() + " " + ref + std::string(1, '\0') + " report-status");
    format::append_flush(request);
    EXPECT_FALSE(run_push(*store, "a/b", request + pack.finish())) << ref;
  }
}

// Clients keep refs as files: one cannot be the directory of another.
TEST_F(Policy, a_ref_is_not_the_directory_of_another) {
  EXPECT_FALSE(run_push(*store, "a/b", push_request(none, first.tip, "refs/heads/main/x", PackBuilder().finish())));
  ASSERT_TRUE(run_push(*store, "a/b", push_request(none, first.tip, "refs/heads/topic/x", PackBuilder().finish())));
  EXPECT_FALSE(run_push(*store, "a/b", push_request(none, first.tip, "refs/heads/topic", PackBuilder().finish())));
  EXPECT_TRUE(run_push(*store, "a/b", push_request(none, first.tip, "refs/heads/topic/y", PackBuilder().finish())));
  EXPECT_TRUE(run_push(*store, "a/b", push_request(none, first.tip, "refs/heads/topical", PackBuilder().finish())));
  // One push may take away what is in the way.
  std::string both;
  format::append_pkt_line(both, first.tip.hex() + " " + none.hex() + " refs/heads/main" + std::string(1, '\0') + " report-status delete-refs atomic");
  format::append_pkt_line(both, none.hex() + " " + first.tip.hex() + " refs/heads/main/x");
  format::append_flush(both);
  EXPECT_TRUE(run_push(*store, "a/b", both + PackBuilder().finish()));
}

// Nor when the push that was to take it away may not: whatever the order of its commands, and of the two refs.
TEST_F(Policy, a_ref_that_stays_is_in_the_way_of_those_of_the_same_push) {
  for (const char* ref : {"refs/tags/one", "refs/tags/deep/x"}) ASSERT_TRUE(run_push(*store, "a/b", push_request(none, first.tip, ref, PackBuilder().finish())));
  RepositoryInfo settings = info();
  settings.protect.push_back({"refs/tags/*", false, true, {}});
  ASSERT_TRUE(store->update_repository(settings, {}).has_value());
  const std::string capabilities = std::string(1, '\0') + " report-status delete-refs";
  const ObjectId blob = hash_object(kAlgorithm, ObjectType::kBlob, "round 1 file 0").value();  // as old as a delete
  for (const auto& [stays, comes] : {std::pair("refs/tags/one", "refs/tags/one/x"), std::pair("refs/tags/deep/x", "refs/tags/deep")}) {
    const std::string deletion = first.tip.hex() + " " + none.hex() + " " + stays;
    const std::string creation = none.hex() + " " + blob.hex() + " " + comes;
    for (const auto& [one, two] : {std::pair(deletion, creation), std::pair(creation, deletion)}) {
      std::string request;
      format::append_pkt_line(request, one + capabilities);
      format::append_pkt_line(request, two);
      format::append_flush(request);
      protocol::ReceivePackOptions options;
      options.stateless = true;
      const auto session = protocol::make_receive_pack(*store, info(), options).value();
      const std::string answer = run_session(*session, request + PackBuilder().finish());
      EXPECT_NE(answer.find(std::string("ng ") + stays + " protected ref"), std::string::npos) << answer;
      EXPECT_NE(answer.find(std::string("ng ") + comes + " directory/file conflict"), std::string::npos) << answer;
    }
  }
}

// Rows of the pool's other repositories build on a tip's bitmap: a fork that does not see it must not put
// another in its place.
TEST_F(Policy, a_fork_leaves_the_bitmaps_of_others_as_they_are) {
  const Push one = make_push(first.tip, 2, 40, "refs/heads/main", first.tip);
  const Push two = make_push(one.tip, 3, 2, "refs/heads/main", one.tip);
  const Push three = make_push(two.tip, 4, 2, "refs/heads/main", two.tip);
  for (const Push* push : {&one, &two, &three}) ASSERT_TRUE(run_push(*store, "a/b", push->request));
  const auto bitmaps = [this] {
    std::map<std::string, std::string> out;
    const auto snapshot = memory->snapshot().value();
    const auto cursor = snapshot->cursor(sys::Family::kBitmaps);
    for (cursor->seek({}); cursor->valid(); cursor->next()) out.emplace(cursor->key(), cursor->value());
    return out;
  };
  ASSERT_TRUE(store->fork_repository("a/b", "c/d", {}).has_value());
  ASSERT_TRUE(run_push(*store, "c/d", delete_request("refs/heads/main", three.tip)));
  const auto before = bitmaps();
  PackBuilder pack;
  std::optional<ObjectId> tip;
  for (const auto& [round, blobs] : {std::pair(1, 2), std::pair(2, 40), std::pair(3, 2), std::pair(4, 2)}) tip = add_commit(pack, tip, round, blobs);
  ASSERT_EQ(*tip, three.tip);
  ASSERT_TRUE(run_push(*store, "c/d", push_request(none, *tip, "refs/heads/main", pack.finish())));
  EXPECT_EQ(bitmaps(), before);
}

}  // namespace
}  // namespace vexor
