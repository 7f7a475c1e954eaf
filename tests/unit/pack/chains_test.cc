// Chains of deltas as they are stored: where they are cut, and that nothing else comes of it.
#include <map>

#include "common/thread_worker_pool.h"
#include "pack/object_reader.h"
#include "pack/stored_chains.h"
#include "support/push_builder.h"
#include "support/session_run.h"
#include "vexorstore/maintenance.h"

namespace vexor {
namespace {

using namespace test;
using pack::kShortChain;

// Octets that zlib makes no smaller.
std::string noise(std::size_t count, std::uint32_t seed) {
  std::string out(count, '\0');
  std::uint32_t state = seed * 2654435761U + 1;
  for (char& c : out) {
    state ^= state << 13U;
    state ^= state >> 17U;
    state ^= state << 5U;
    c = static_cast<char>(state >> 24U);
  }
  return out;
}

// The versions of one blob, each to be a delta upon the one before.
struct Versions {
  explicit Versions(std::string first) : contents{std::move(first)}, ids{hash_object(kAlgorithm, ObjectType::kBlob, contents[0]).value()} {}
  ObjectId tip() const { return ids.back(); }
  void add_whole(PackBuilder& pack) const { pack.add(ObjectType::kBlob, contents.back()); }
  // `count` deltas more; each version is as long as the one before.
  void grow(PackBuilder& pack, unsigned count, const std::string& name = "version ") {
    for (unsigned i = 0; i < count; ++i) {
      std::string next = contents.back();
      const std::string mark = name + std::to_string(contents.size());
      next.replace(next.size() - 20, mark.size(), mark);
      ids.push_back(pack.add_delta(ObjectType::kBlob, ids.back(), contents.back(), next));
      contents.push_back(std::move(next));
    }
  }
  std::vector<std::string> contents;
  std::vector<ObjectId> ids;
};

class Chains : public testing::Test {
 protected:
  void open_store() {
    store_.reset();
    StoreOptions options;
    options.limits = limits_;
    options.workers = &workers_;
    store_ = Store::open(std::make_unique<Forwarding>(*memory_), options).value();
    if (id_ == 0) id_ = store_->create_repository("a/b", {}, {}).value().id;
  }
  std::string push(const PackBuilder& pack, const ObjectId& tip, const std::string& repository = "a/b") {
    protocol::ReceivePackOptions options;
    options.stateless = true;
    const auto session = protocol::make_receive_pack(*store_, *store_->find_repository(repository).value(), options).value();
    return run_session(*session, push_request(none_, tip, "refs/tags/t" + std::to_string(++pushes_), pack.finish()));
  }
  void taken(const PackBuilder& pack, const ObjectId& tip, const std::string& repository = "a/b") {
    const std::string answer = push(pack, tip, repository);
    EXPECT_NE(answer.find("ok refs/tags/"), std::string::npos) << answer;
  }
  void refused(const PackBuilder& pack, const ObjectId& tip, const std::string& why) {
    const std::uint64_t before = memory_->approximate_bytes(sys::Family::kExtents);
    const std::string answer = push(pack, tip);
    EXPECT_NE(answer.find(why), std::string::npos) << answer;
    EXPECT_EQ(answer.find("ok refs/tags/"), std::string::npos) << answer;
    EXPECT_EQ(memory_->approximate_bytes(sys::Family::kExtents), before);
  }
  // What is stored of each version is what it should be; and the form of each.
  std::vector<format::ExtentObject> stored(const Versions& versions) {
    const auto now = store::open_repository_snapshot(store_->core(), id_).value();
    pack::ObjectReader reader(now.snapshot, now.row.pool, kAlgorithm, limits_);
    std::vector<format::ExtentObject> out;
    std::map<format::ObjectNumber, std::uint64_t> chain_bytes;
    for (std::size_t i = 0; i < versions.ids.size(); ++i) {
      const auto number = reader.find(versions.ids[i]).value().value();
      const auto& object = out.emplace_back(reader.entry(number).value().object);
      EXPECT_EQ(*reader.read(number).value(), versions.contents[i]) << i;
      EXPECT_EQ(object.object_bytes, versions.contents[i].size());
      EXPECT_EQ(object.depth, object.is_delta ? out[i - 1].depth + 1 : 0U) << i;
      EXPECT_LE(object.depth, limits_.delta_depth_max) << i;
      chain_bytes[number] = object.object_bytes + (object.is_delta ? chain_bytes.at(object.base) : 0);
      EXPECT_LE(chain_bytes[number], std::max(limits_.chain_bytes_max, kShortChain * object.object_bytes)) << i;
    }
    const auto report = verify_repository(*store_, id_).value();
    EXPECT_EQ(report.problem_count, 0U) << (report.problems.empty() ? "" : report.problems[0]);
    return out;
  }
  static std::vector<std::size_t> whole_ones(const std::vector<format::ExtentObject>& objects) {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < objects.size(); ++i) {
      if (!objects[i].is_delta) out.push_back(i);
    }
    return out;
  }
  using Places = std::vector<std::size_t>;

  frontend::ThreadWorkerPool workers_{2};
  Limits limits_;
  const ObjectId none_ = ObjectId::null(kAlgorithm);
  std::unique_ptr<sys::StorageBackend> memory_ = sys::make_memory_backend();
  std::unique_ptr<Store> store_;
  RepositoryId id_ = 0;
  int pushes_ = 0;
};

TEST_F(Chains, a_push_upon_a_chain_at_the_limit_begins_a_new_one) {
  limits_.delta_depth_max = 20;
  open_store();
  Versions file(std::string(300, 'f'));
  PackBuilder first;
  file.add_whole(first);
  file.grow(first, 20);
  taken(first, file.tip());
  EXPECT_EQ(stored(file).back().depth, 20U);
  PackBuilder thin;
  file.grow(thin, 3);
  taken(thin, file.tip());
  const auto objects = stored(file);
  EXPECT_EQ(whole_ones(objects), (Places{0, 21}));
  EXPECT_EQ(objects[21].entry_bytes, 300U);
  EXPECT_EQ(objects[23].depth, 2U);
}

// Of a store whose limit was higher: what is longer than the limit of now is known to be that, and what is not is known exactly.
TEST_F(Chains, a_stored_chain_is_as_long_as_it_is_now) {
  limits_.delta_depth_max = 100;
  open_store();
  Versions file(std::string(300, 'f'));
  PackBuilder first;
  file.add_whole(first);
  file.grow(first, 90);
  taken(first, file.tip());
  limits_.delta_depth_max = 80;
  open_store();
  PackBuilder thin;
  file.grow(thin, 1);
  taken(thin, file.tip());
  const auto now = store::open_repository_snapshot(store_->core(), id_).value();
  pack::ObjectReader reader(now.snapshot, now.row.pool, kAlgorithm, limits_);
  EXPECT_FALSE(reader.entry(reader.find(file.tip()).value().value()).value().object.is_delta);
  pack::StoredChains chains(reader);
  EXPECT_EQ(chains.of(reader.find(file.ids[90]).value().value()).value().depth, 81U);  // longer than the limit, at least
  const pack::Chain known = chains.of(reader.find(file.ids[70]).value().value()).value();
  EXPECT_EQ(known.depth, 70U);
  EXPECT_EQ(known.bytes, 71U * 300U);
  EXPECT_EQ(chains.of(reader.find(file.ids[72]).value().value()).value().bytes, 73U * 300U);
}

TEST_F(Chains, a_pack_with_a_longer_chain_of_its_own_is_refused) {
  limits_.delta_depth_max = 20;
  open_store();
  Versions file(std::string(300, 'f'));
  PackBuilder base;
  file.add_whole(base);
  taken(base, file.tip());
  Versions longer = file;
  PackBuilder thin;
  longer.grow(thin, 21);
  refused(thin, longer.tip(), "delta depth over 20");
  PackBuilder whole;
  file.add_whole(whole);
  whole.add(ObjectType::kBlob, "another");
  longer = file;
  longer.grow(whole, 21);
  refused(whole, longer.tip(), "delta depth over 20");
  PackBuilder fits;
  file.grow(fits, 20);
  taken(fits, file.tip());
  EXPECT_EQ(whole_ones(stored(file)), (Places{0}));
}

TEST_F(Chains, a_chain_that_would_be_too_dear_is_cut) {
  limits_.chain_bytes_max = 100'000;
  open_store();
  Versions file(std::string(1000, 'f'));
  PackBuilder pack;
  file.add_whole(pack);
  file.grow(pack, 250);
  taken(pack, file.tip());
  EXPECT_EQ(whole_ones(stored(file)), (Places{0, 100, 200}));
}

// What a client with few large files does is no attack.
TEST_F(Chains, few_large_objects_keep_their_deltas) {
  limits_.chain_bytes_max = 100'000;
  open_store();
  Versions file(std::string(50'000, 'f'));
  PackBuilder pack;
  file.add_whole(pack);
  file.grow(pack, 50);
  taken(pack, file.tip());
  EXPECT_EQ(whole_ones(stored(file)), (Places{0}));
  PackBuilder more;
  file.grow(more, 50);
  taken(more, file.tip());
  EXPECT_EQ(whole_ones(stored(file)), (Places{0, kShortChain}));
}

// A small object upon large ones: what it costs to read is bounded all the same.
TEST_F(Chains, a_small_object_upon_large_ones) {
  limits_.chain_bytes_max = 100'000;
  open_store();
  Versions file(std::string(50'000, 'f'));
  PackBuilder pack;
  file.add_whole(pack);
  file.grow(pack, 10);
  const std::string small = "of a large file this is left";
  file.ids.push_back(pack.add_delta(ObjectType::kBlob, file.tip(), file.contents.back(), small));
  file.contents.push_back(small);
  taken(pack, file.tip());
  EXPECT_EQ(whole_ones(stored(file)), (Places{0, 11}));
}

TEST_F(Chains, one_delta_a_push) {
  limits_.chain_bytes_max = 100'000;
  open_store();
  Versions file(std::string(1000, 'f'));
  PackBuilder first;
  file.add_whole(first);
  taken(first, file.tip());
  for (int i = 0; i < 230; ++i) {
    PackBuilder thin;
    file.grow(thin, 1);
    taken(thin, file.tip());
  }
  EXPECT_EQ(whole_ones(stored(file)), (Places{0, 100, 200}));
}

// Payloads in several rows.
TEST_F(Chains, large_whole_objects_are_stored_in_chunks) {
  limits_.delta_depth_max = 4;
  for (const bool has_spool_file : {false, true}) {
    if (has_spool_file) limits_.spool_memory_bytes = 1000;
    open_store();
    Versions file(noise(900'000, has_spool_file ? 1 : 2));
    PackBuilder first;
    file.add_whole(first);
    file.grow(first, 3);
    taken(first, file.tip());
    PackBuilder thin;
    file.grow(thin, 4);
    taken(thin, file.tip());
    const auto objects = stored(file);
    EXPECT_EQ(whole_ones(objects), (Places{0, 5}));
    EXPECT_GT(objects[5].payload_bytes, 3 * format::kExtentChunkBytes);
  }
}

TEST_F(Chains, of_a_bulk_push_are_cut_beside_the_walk) {
  limits_.delta_depth_max = 10;
  open_store();
  PackBuilder pack;
  std::vector<Versions> files;
  std::string tree;
  for (int i = 0; i < 400; ++i) {
    files.emplace_back("file " + std::to_string(i) + std::string(200, 'f'));
    Versions& file = files.back();
    file.add_whole(pack);
    file.grow(pack, 10);
    const ObjectId again = pack.add(ObjectType::kBlob, file.contents[5]);  // a second copy, behind the delta
    char name[32];
    std::snprintf(name, sizeof name, "file%06d", i);
    tree += std::string("100644 ") + name + std::string(1, '\0') + std::string(again.raw());
  }
  const ObjectId tree_id = pack.add(ObjectType::kTree, tree);
  const ObjectId commit = pack.add(ObjectType::kCommit, "tree " + tree_id.hex() + "\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nm\n");
  // Only what a tag reaches is there for a thin pack.
  std::string tips;
  for (int i = 0; i < 400; ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "tip%06d", i);
    tips += std::string("100644 ") + name + std::string(1, '\0') + std::string(files[static_cast<std::size_t>(i)].tip().raw());
  }
  const ObjectId tips_id = pack.add(ObjectType::kTree, tips);
  const ObjectId last = pack.add(ObjectType::kCommit, "tree " + tips_id.hex() + "\nparent " + commit.hex() + "\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nm\n");
  taken(pack, last);
  PackBuilder more;
  std::string next_tree;
  for (int i = 0; i < 400; ++i) {
    Versions& file = files[static_cast<std::size_t>(i)];
    file.grow(more, 10);
    char name[32];
    std::snprintf(name, sizeof name, "tip%06d", i);
    next_tree += std::string("100644 ") + name + std::string(1, '\0') + std::string(file.tip().raw());
  }
  const ObjectId next_id = more.add(ObjectType::kTree, next_tree);
  const ObjectId next = more.add(ObjectType::kCommit, "tree " + next_id.hex() + "\nparent " + last.hex() + "\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nm\n");
  taken(more, next);
  for (const std::size_t i : {0U, 199U, 399U}) EXPECT_EQ(whole_ones(stored(files[i])), (Places{0, 11})) << i;
}

// Somebody pushes to a fork what the others will soon have, with a chain of deltas below it. Before, what leaned on
// it could be pushed by nobody.
TEST_F(Chains, a_fork_s_long_chain_fails_nobody_s_push) {
  limits_.delta_depth_max = 20;
  open_store();
  ASSERT_TRUE(store_->fork_repository("a/b", "c/fork", {}).has_value());
  Versions theirs(std::string(300, 'x'));
  PackBuilder hostile;
  theirs.add_whole(hostile);
  theirs.grow(hostile, 20);
  taken(hostile, theirs.tip(), "c/fork");
  Versions ours(theirs.contents.back());
  PackBuilder pack;
  ours.add_whole(pack);
  ours.grow(pack, 2, "of ours ");
  taken(pack, ours.tip());
  PackBuilder base;
  base.add(ObjectType::kBlob, ours.contents[0]);
  taken(base, ours.ids[0]);
  PackBuilder thin;
  Versions branch(ours.contents[0]);
  branch.contents.push_back(branch.contents[0] + " and more");
  branch.ids.push_back(thin.add_delta(ObjectType::kBlob, branch.ids[0], branch.contents[0], branch.contents[1]));
  taken(thin, branch.tip());
  const auto now = store::open_repository_snapshot(store_->core(), id_).value();
  pack::ObjectReader reader(now.snapshot, now.row.pool, kAlgorithm, limits_);
  const auto object = [&](const ObjectId& id) { return reader.entry(reader.find(id).value().value()).value().object; };
  EXPECT_EQ(object(ours.ids[0]).depth, 20U);
  EXPECT_FALSE(object(ours.ids[1]).is_delta);
  EXPECT_EQ(object(ours.ids[2]).depth, 1U);
  EXPECT_FALSE(object(branch.tip()).is_delta);
  for (const Versions* file : {&ours, &branch}) {
    for (std::size_t i = 0; i < file->ids.size(); ++i) EXPECT_EQ(*reader.read(reader.find(file->ids[i]).value().value()).value(), file->contents[i]);
  }
  EXPECT_EQ(verify_repository(*store_, id_).value().problem_count, 0U);
}

// A small pack must not fill the disk: each of these deltas is a few octets.
TEST_F(Chains, bytes_of_whole_objects_have_a_limit) {
  limits_.delta_depth_max = 4;
  limits_.whole_bytes_per_push_max = 45'000;
  open_store();
  Versions file(std::string(10'000, 'f'));
  PackBuilder first;
  file.add_whole(first);
  file.grow(first, 4);
  taken(first, file.tip());
  for (const int siblings : {5, 4}) {
    PackBuilder thin;
    ObjectId tip;
    for (int i = 0; i < siblings; ++i) {
      Versions branch(file.contents.back());
      branch.contents[0][9'990] = static_cast<char>('A' + i);
      tip = thin.add_delta(ObjectType::kBlob, file.tip(), file.contents.back(), branch.contents[0]);
    }
    if (siblings == 5) refused(thin, tip, "bytes of deltas upon too long chains 50000 over 45000");
    else taken(thin, tip);
  }
  EXPECT_EQ(verify_repository(*store_, id_).value().problem_count, 0U);
}

// What a walk through a family drops for want of memory it makes again: of each base on the way back up, all of its chain.
TEST_F(Chains, what_is_made_again_while_deltas_are_resolved_counts) {
  limits_.ingest_memory_bytes = 64 << 10;
  open_store();
  for (const std::uint64_t resolve_mb : {40U, 2000U}) {
    limits_.resolve_bytes_max = resolve_mb << 20U;
    open_store();
    Versions file(std::string(20'000, 'f'));
    PackBuilder pack;
    file.add_whole(pack);
    for (int i = 0; i < 300; ++i) {
      std::string leaf = file.contents.back();
      leaf[0] = 'l';
      pack.add_delta(ObjectType::kBlob, file.tip(), file.contents.back(), leaf);
      file.grow(pack, 1);
    }
    if (resolve_mb == 40) refused(pack, file.tip(), "inflated bytes of a push");  // 12 MB of objects, and up to 900 to make them
    else taken(pack, file.tip());
  }
}

// Objects larger than what is kept are made anew for each one that is stored whole.
TEST_F(Chains, what_is_read_to_make_objects_whole_has_a_limit) {
  limits_.chain_bytes_max = 1;
  limits_.ingest_memory_bytes = 64 << 10;  // a quarter of it for the readers, half of that for one object
  limits_.resolve_bytes_max = 40 << 20;
  open_store();
  Versions file(std::string(20'000, 'f'));
  PackBuilder pack;
  file.add_whole(pack);
  file.grow(pack, 10 * kShortChain);  // 13 MB to resolve, and 70 to read
  refused(pack, file.tip(), "inflated bytes of a push");
  Versions shorter(std::string(20'000, 'g'));
  PackBuilder fits;
  shorter.add_whole(fits);
  shorter.grow(fits, 3 * kShortChain);
  taken(fits, shorter.tip());
  EXPECT_EQ(whole_ones(stored(shorter)), (Places{0, kShortChain, 2 * kShortChain, 3 * kShortChain}));
}

}  // namespace
}  // namespace vexor
