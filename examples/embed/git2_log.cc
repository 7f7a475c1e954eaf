// A libgit2 program over a stored repository: prints the commits that HEAD reaches, and how many
// files and bytes each one's tree holds.
//
//   git2_log DIRECTORY OWNER/NAME
#include <cstdio>

#include "vexorstore/git2/bridge.h"
#include "vexorstore/sys/backends.h"

using namespace vexor;

namespace {

struct Totals {
  git_repository* repository;
  unsigned files = 0;
  unsigned long long bytes = 0;
};

int add_entry(const char*, const git_tree_entry* entry, void* payload) {
  auto& totals = *static_cast<Totals*>(payload);
  git_blob* blob = nullptr;
  if (git_tree_entry_type(entry) != GIT_OBJECT_BLOB) return 0;
  if (git_blob_lookup(&blob, totals.repository, git_tree_entry_id(entry)) != 0) return -1;
  ++totals.files;
  totals.bytes += static_cast<unsigned long long>(git_blob_rawsize(blob));
  git_blob_free(blob);
  return 0;
}

int log(git_repository* repository) {
  git_revwalk* walk = nullptr;
  if (git_revwalk_new(&walk, repository) != 0 || git_revwalk_push_head(walk) != 0) return 1;
  git_oid id;
  int failed = 0;
  while (failed == 0 && git_revwalk_next(&id, walk) == 0) {
    git_commit* commit = nullptr;
    git_tree* tree = nullptr;
    Totals totals{repository};
    failed = git_commit_lookup(&commit, repository, &id) != 0 || git_commit_tree(&tree, commit) != 0 ||
             git_tree_walk(tree, GIT_TREEWALK_PRE, add_entry, &totals) != 0;
    if (failed == 0) std::printf("%s %u files %llu bytes %s\n", git_oid_tostr_s(&id), totals.files, totals.bytes, git_commit_summary(commit));
    git_tree_free(tree);
    git_commit_free(commit);
  }
  git_revwalk_free(walk);
  return failed;
}

Result<int> run(const std::string& directory, const std::string& name) {
  VEXOR_TRY(auto backend, sys::open_rocksdb_backend(directory));
  VEXOR_TRY(const auto store, Store::open(std::move(backend), StoreOptions{}));
  VEXOR_TRY(const auto info, store->find_repository(name));
  if (!info) return Error(Errc::kNotFound, "no such repository");
  VEXOR_TRY(const auto repository, git2::open_repository(*store, info->id, Actor{}));
  return log(repository.get());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: git2_log DIRECTORY OWNER/NAME\n"), 2;
  git_libgit2_init();
  const auto done = run(argv[1], argv[2]);
  if (done.has_error()) std::fprintf(stderr, "git2_log: %s\n", done.error().message().c_str());
  git_libgit2_shutdown();
  return done.has_error() ? 1 : done.value();
}
