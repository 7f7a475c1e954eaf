// libgit2, unchanged, over a stored repository: it reads what we stored and we read what it stored.
#include "vexorstore/git2/bridge.h"

#include <set>

#include "support/push_builder.h"
#include "vexorstore/snapshot.h"

namespace vexor {
namespace {

using namespace test;

class Git2Bridge : public testing::Test {
 protected:
  Git2Bridge() : backend_(sys::make_memory_backend()), store_(open(*backend_)) {
    git_libgit2_init();
    id_ = store_->create_repository("a/b", {}, {}).value().id;
    ObjectId old_id = ObjectId::null(kAlgorithm);
    std::optional<ObjectId> parent;
    for (int round = 0; round < 5; ++round) {
      const Push push = make_push(parent, round, 20, "refs/heads/main", old_id);
      EXPECT_TRUE(run_push(*store_, "a/b", push.request));
      parent = old_id = push.tip;
    }
    tip_ = old_id;
    repository_ = git2::open_repository(*store_, id_, {}).value();
  }
  ~Git2Bridge() override {
    repository_.reset();
    git_libgit2_shutdown();
  }
  void must(int result) {
    const git_error* error = git_error_last();
    ASSERT_GE(result, 0) << (error != nullptr ? error->message : "");
  }
  std::unique_ptr<sys::StorageBackend> backend_;
  std::unique_ptr<Store> store_;
  RepositoryId id_ = 0;
  ObjectId tip_;
  git2::RepositoryPtr repository_;
};

TEST_F(Git2Bridge, libgit2_walks_all_of_history) {
  git_revwalk* walk = nullptr;
  must(git_revwalk_new(&walk, repository_.get()));
  must(git_revwalk_push_head(walk));
  git_oid oid;
  std::size_t commits = 0;
  std::size_t blobs = 0;
  while (git_revwalk_next(&oid, walk) == 0) {
    ++commits;
    git_commit* commit = nullptr;
    git_tree* tree = nullptr;
    must(git_commit_lookup(&commit, repository_.get(), &oid));
    must(git_commit_tree(&tree, commit));
    for (std::size_t i = 0; i < git_tree_entrycount(tree); ++i) {
      git_blob* blob = nullptr;
      must(git_blob_lookup(&blob, repository_.get(), git_tree_entry_id(git_tree_entry_byindex(tree, i))));
      blobs += git_blob_rawsize(blob) > 0 ? 1U : 0U;
      git_blob_free(blob);
    }
    git_tree_free(tree);
    git_commit_free(commit);
  }
  git_revwalk_free(walk);
  EXPECT_EQ(commits, 5U);
  EXPECT_EQ(blobs, 100U);
  git_odb* odb = nullptr;
  must(git_repository_odb(&odb, repository_.get()));
  std::set<std::string> ids;
  must(git_odb_foreach(odb, [](const git_oid* id, void* payload) {
    static_cast<std::set<std::string>*>(payload)->insert(git_oid_tostr_s(id));
    return 0;
  }, &ids));
  git_odb_free(odb);
  EXPECT_EQ(ids.size(), 110U);
  git_object* abbreviated = nullptr;
  must(git_revparse_single(&abbreviated, repository_.get(), tip_.hex().substr(0, 10).c_str()));
  EXPECT_EQ(git_oid_tostr_s(git_object_id(abbreviated)), tip_.hex());
  git_object_free(abbreviated);
}

TEST_F(Git2Bridge, what_libgit2_commits_is_stored) {
  git_oid blob_id, tree_id, commit_id;
  must(git_blob_create_from_buffer(&blob_id, repository_.get(), "written by libgit2", 18));
  git_treebuilder* builder = nullptr;
  must(git_treebuilder_new(&builder, repository_.get(), nullptr));
  must(git_treebuilder_insert(nullptr, builder, "file", &blob_id, GIT_FILEMODE_BLOB));
  must(git_treebuilder_write(&tree_id, builder));
  git_treebuilder_free(builder);
  EXPECT_FALSE(open_snapshot(*store_, id_).value()->find_object(hash_object(kAlgorithm, ObjectType::kBlob, "written by libgit2").value()).value());
  git_tree* tree = nullptr;
  git_commit* parent = nullptr;
  git_signature* who = nullptr;
  git_oid head;
  must(git_reference_name_to_id(&head, repository_.get(), "HEAD"));
  must(git_commit_lookup(&parent, repository_.get(), &head));
  must(git_tree_lookup(&tree, repository_.get(), &tree_id));
  must(git_signature_new(&who, "A", "a@b", 1700000000, 0));
  const git_commit* parents[] = {parent};
  must(git_commit_create(&commit_id, repository_.get(), "refs/heads/main", who, who, nullptr, "m", tree, 1, parents));
  git_reference* branch = nullptr;
  must(git_reference_create(&branch, repository_.get(), "refs/tags/light", &commit_id, 0, nullptr));
  git_reference_free(branch);
  EXPECT_EQ(git_reference_create(&branch, repository_.get(), "refs/tags/light", &head, 0, nullptr), GIT_EEXISTS);
  git_oid tag_id;
  git_object* target = nullptr;
  must(git_object_lookup(&target, repository_.get(), &commit_id, GIT_OBJECT_COMMIT));
  must(git_tag_create(&tag_id, repository_.get(), "annotated", target, who, "a tag", 0));
  git_object_free(target);
  git_signature_free(who);
  git_tree_free(tree);
  git_commit_free(parent);

  auto snapshot = open_snapshot(*store_, id_).value();
  EXPECT_EQ(snapshot->find_ref("refs/heads/main").value()->id.hex(), git_oid_tostr_s(&commit_id));
  EXPECT_EQ(snapshot->find_ref("refs/tags/annotated").value()->peeled->hex(), git_oid_tostr_s(&commit_id));
  const ObjectId blob = hash_object(kAlgorithm, ObjectType::kBlob, "written by libgit2").value();
  EXPECT_EQ(snapshot->read_object(blob).value(), "written by libgit2");
  must(git_tag_delete(repository_.get(), "annotated"));
  EXPECT_FALSE(open_snapshot(*store_, id_).value()->find_ref("refs/tags/annotated").value());
}

TEST_F(Git2Bridge, a_stale_reference_is_not_overwritten) {
  git_reference* main = nullptr;
  must(git_reference_lookup(&main, repository_.get(), "refs/heads/main"));
  const Push push = make_push(tip_, 99, 1, "refs/heads/main", tip_);
  ASSERT_TRUE(run_push(*store_, "a/b", push.request));
  git_reference* moved = nullptr;
  const git_oid old = *git_reference_target(main);
  EXPECT_LT(git_reference_set_target(&moved, main, &old, nullptr), 0);
  git_reference_free(main);
  EXPECT_EQ(open_snapshot(*store_, id_).value()->find_ref("refs/heads/main").value()->id, push.tip);
}

}  // namespace
}  // namespace vexor
