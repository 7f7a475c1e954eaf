// Attacks: what a hostile client may send, one test for each way in. Nothing of them may be stored, cost
// much, or stop the store from serving the next client.
#include <chrono>

#include "format/delta.h"
#include "pack/object_reader.h"
#include "support/padded_stream.h"
#include "support/push_builder.h"
#include "support/session_run.h"
#include "vexorstore/maintenance.h"
#include "vexorstore/protocol/upload_pack.h"
#include "vexorstore/snapshot.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

std::string size_varint(std::uint64_t value) {
  std::string out;
  do {
    out.push_back(static_cast<char>((value & 0x7F) | (value > 0x7F ? 0x80 : 0)));
    value >>= 7;
  } while (value != 0);
  return out;
}
// A delta that copies `base_bytes` from offset 0, `times` times.
std::string copy_delta(std::uint64_t base_bytes, unsigned times) {
  std::string out = size_varint(base_bytes) + size_varint(base_bytes * times);
  for (unsigned i = 0; i < times; ++i) {
    out += static_cast<char>(0x80 | 0x10 | 0x20);
    out += static_cast<char>(base_bytes & 0xFF);
    out += static_cast<char>(base_bytes >> 8);
  }
  return out;
}

class RawPack {
 public:
  void entry(format::PackEntryKind kind, std::uint64_t size, const std::string& middle, const std::string& content) {
    format::append_pack_entry_header(bytes_, kind, size);
    bytes_ += middle + compress::deflate(content, 1);
    ++count_;
  }
  // `stream`: what stands for `size` octets.
  void raw_entry(format::PackEntryKind kind, std::uint64_t size, const std::string& stream) {
    format::append_pack_entry_header(bytes_, kind, size);
    bytes_ += stream;
    ++count_;
  }
  void ref_delta(const ObjectId& base, const std::string& delta) { entry(format::PackEntryKind::kRefDelta, delta.size(), std::string(base.raw()), delta); }
  ObjectId object(ObjectType type, const std::string& content) {
    entry(static_cast<format::PackEntryKind>(type), content.size(), "", content);
    return hash_object(kAlgorithm, type, content).value();
  }
  ObjectId commit(const ObjectId& tree, const std::string& extra = "") {
    return object(ObjectType::kCommit, "tree " + tree.hex() + "\n" + extra + "author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nm\n");
  }
  std::string finish(int count_lie = 0) const {
    std::string out;
    format::append_pack_header(out, static_cast<std::uint32_t>(static_cast<int>(count_) + count_lie));
    out += bytes_;
    PackChecksum sum(kAlgorithm);
    sum.update(out);
    return out + sum.finish();
  }

 private:
  std::string bytes_;
  std::uint32_t count_ = 0;
};

std::string tree_entry(const char* mode, const std::string& name, const ObjectId& id) {
  return std::string(mode) + " " + name + std::string(1, '\0') + std::string(id.raw());
}

class Hostile : public testing::Test {
 protected:
  Hostile() { limits_.filter_visits_max = 100'000; }
  void reopen() {
    store_.reset();
    StoreOptions options;
    options.limits = limits_;
    store_ = Store::open(std::make_unique<Forwarding>(*memory_), options).value();
  }
  void SetUp() override {
    reopen();
    id_ = store_->create_repository("a/b", {}, {}).value().id;
    first_ = make_push(std::nullopt, 1, 3, "refs/heads/main", none_);
    ASSERT_TRUE(run_push(*store_, "a/b", first_.request));
    bytes_before_ = bytes();
  }
  void TearDown() override {  // the store still takes and serves what it should
    const Push good = make_push(first_.tip, 99, 3, "refs/heads/after", none_);
    EXPECT_TRUE(run_push(*store_, "a/b", good.request));
    EXPECT_EQ(verify_repository(*store_, id_).value().problem_count, 0U);
  }
  std::uint64_t bytes() {
    std::uint64_t sum = 0;
    for (const Family family : {Family::kExtents, Family::kIndex, Family::kGraph, Family::kBitmaps, Family::kShapes, Family::kQuarantine}) sum += memory_->approximate_bytes(family);
    return sum;
  }
  std::string push(const std::string& pack, const ObjectId& tip, const std::string& repository = "a/b", const std::string& ref = "refs/heads/evil") {
    std::string request;
    format::append_pkt_line(request, none_.hex() + " " + tip.hex() + " " + ref + std::string(1, '\0') + " report-status");
    format::append_flush(request);
    return receive(request + pack, repository);
  }
  std::string receive(const std::string& request, const std::string& repository = "a/b") {
    protocol::ReceivePackOptions options;
    options.stateless = true;
    const auto session = protocol::make_receive_pack(*store_, *store_->find_repository(repository).value(), options).value();
    return run_session(*session, request);
  }
  std::string fetch(const std::string& request, int version = 2) {
    protocol::UploadPackOptions options;
    options.version = version;
    options.stateless = true;
    const auto session = protocol::make_upload_pack(*store_, *store_->find_repository("a/b").value(), options).value();
    return run_session(*session, request);
  }
  static void refused_text(const std::string& answer, const std::string& why) { EXPECT_NE(answer.find(why), std::string::npos) << answer.substr(0, 300); }
  void refused(const std::string& answer, const std::string& why) {
    EXPECT_NE(answer.find(why), std::string::npos) << answer.substr(0, 300);
    EXPECT_EQ(answer.find("ok refs/"), std::string::npos) << answer.substr(0, 300);
    EXPECT_EQ(bytes(), bytes_before_) << "a refused push left bytes";
  }
  static std::string fetch_request(const std::vector<std::string>& lines, const std::string& command = "fetch") {
    std::string out;
    format::append_pkt_line(out, "command=" + command + "\n");
    format::append_delim(out);
    for (const std::string& line : lines) format::append_pkt_line(out, line + "\n");
    format::append_flush(out);
    return out;
  }

  Limits limits_;
  const ObjectId none_ = ObjectId::null(kAlgorithm);
  std::unique_ptr<sys::StorageBackend> memory_ = sys::make_memory_backend();
  std::unique_ptr<Store> store_;
  RepositoryId id_ = 0;
  Push first_;
  std::uint64_t bytes_before_ = 0;
};

class SmallLimits : public Hostile {
 protected:
  SmallLimits() {
    limits_.delta_object_bytes_max = 4 << 20;
    limits_.resolve_bytes_max = 64 << 20;
    limits_.object_bytes_max = 2 << 20;
    limits_.pack_bytes_max = 8 << 20;
    limits_.structured_object_bytes_max = 1 << 20;
    limits_.objects_per_push_max = 3000;
    limits_.delta_depth_max = 50;
    limits_.tree_depth_max = 100;
    limits_.wants_max = limits_.haves_max = limits_.shallow_lines_max = limits_.ref_prefixes_max = limits_.object_info_max = 10;
    limits_.ref_updates_per_push_max = 2000;
    limits_.filter_visits_max = 1000;
    limits_.commit_parents_max = 100;
    limits_.parents_per_push_max = 1000;
    limits_.filter_work_max = 1'000'000;
  }
};

TEST_F(SmallLimits, delta_bomb) {
  RawPack pack;
  const std::string base(60000, 'x');
  ObjectId id = pack.object(ObjectType::kBlob, base);
  pack.ref_delta(id, copy_delta(base.size(), 200));  // 12 MB out of 600 bytes
  refused(push(pack.finish(), first_.tip), "unpack ");
}

TEST_F(SmallLimits, many_deltas_that_are_each_small_enough) {
  RawPack pack;
  const std::string base(60000, 'x');
  const ObjectId id = pack.object(ObjectType::kBlob, base);
  for (unsigned i = 0; i < 100; ++i) pack.ref_delta(id, copy_delta(base.size(), 20));
  refused(push(pack.finish(), first_.tip), "inflated bytes of a push");
}

TEST_F(SmallLimits, delta_result_over_the_object_limit) {
  RawPack pack;
  const std::string base(60000, 'x');
  pack.ref_delta(pack.object(ObjectType::kBlob, base), copy_delta(base.size(), 40));
  refused(push(pack.finish(), first_.tip), "unpack ");
}

TEST_F(SmallLimits, delta_that_lies_about_its_base) {
  RawPack pack;
  pack.ref_delta(pack.object(ObjectType::kBlob, "0123456789"), copy_delta(60000, 1));
  refused(push(pack.finish(), first_.tip), "unpack ");
}

TEST_F(SmallLimits, delta_depth) {
  RawPack pack;
  std::string content = "base of a long chain\n";
  ObjectId id = pack.object(ObjectType::kBlob, content);
  for (unsigned i = 0; i < 60; ++i) {
    std::string delta = size_varint(content.size()) + size_varint(content.size() + 1);
    delta += static_cast<char>(0x80 | 0x10);
    delta += static_cast<char>(content.size());
    delta += '\1';
    delta += static_cast<char>('a' + i % 26);
    pack.ref_delta(id, delta);
    content += static_cast<char>('a' + i % 26);
    id = hash_object(kAlgorithm, ObjectType::kBlob, content).value();
  }
  refused(push(pack.finish(), first_.tip), "delta depth over 50");
}

// A base that comes whole may be stored upon as many deltas as there may be: what leans on it is stored whole.
TEST_F(SmallLimits, a_whole_copy_of_a_deep_object_is_a_base_like_any_other) {
  RawPack one;
  std::string content = "0123456789";
  ObjectId middle = one.object(ObjectType::kBlob, content);
  for (std::uint32_t i = 0; i < limits_.delta_depth_max; ++i) {
    const std::string delta = size_varint(content.size()) + size_varint(content.size() + 1) + static_cast<char>(0x80 | 0x10) + static_cast<char>(content.size()) + "\1x";
    one.ref_delta(middle, delta);
    content += 'x';
    middle = hash_object(kAlgorithm, ObjectType::kBlob, content).value();
  }
  const ObjectId tip = one.commit(one.object(ObjectType::kTree, tree_entry("100644", "f", middle)));
  ASSERT_NE(push(one.finish(), tip).find("ok refs/heads/evil"), std::string::npos);
  RawPack two;
  two.object(ObjectType::kBlob, content);
  two.ref_delta(middle, size_varint(content.size()) + size_varint(1) + "\1x");
  const ObjectId last = hash_object(kAlgorithm, ObjectType::kBlob, "x").value();
  const ObjectId next = two.commit(two.object(ObjectType::kTree, tree_entry("100644", "f", last)));
  ASSERT_NE(push(two.finish(), next, "a/b", "refs/heads/more").find("ok refs/heads/more"), std::string::npos);
  EXPECT_EQ(open_snapshot(*store_, id_).value()->read_object(last).value(), "x");
}

TEST_F(SmallLimits, deltas_upon_each_other) {
  RawPack pack;
  const ObjectId one = hash_object(kAlgorithm, ObjectType::kBlob, "one").value();
  const ObjectId two = hash_object(kAlgorithm, ObjectType::kBlob, "two").value();
  pack.ref_delta(one, copy_delta(3, 1));
  pack.ref_delta(two, copy_delta(3, 1));
  refused(push(pack.finish(), first_.tip), "neither in the pack nor in the repository");
}

// Each of two is a delta upon the other, and one of them comes whole as well.
TEST_F(SmallLimits, deltas_upon_each_other_beside_a_whole_copy) {
  const auto delta_to = [](const std::string& text) { return size_varint(3) + size_varint(3) + "\3" + text; };
  RawPack pack;
  pack.ref_delta(hash_object(kAlgorithm, ObjectType::kBlob, "two").value(), delta_to("one"));
  pack.ref_delta(hash_object(kAlgorithm, ObjectType::kBlob, "one").value(), delta_to("two"));
  pack.object(ObjectType::kBlob, "one");
  refused(push(pack.finish(), first_.tip), "deltas upon each other");
}

// What only a refused ref would have reached leaves no bitmap, which a later push would trust.
TEST_F(SmallLimits, a_refused_ref_leaves_no_bitmap) {
  const auto count = [&] {
    const auto snapshot = memory_->snapshot().value();
    const auto cursor = snapshot->cursor(Family::kBitmaps);
    std::size_t rows = 0;
    for (cursor->seek({}); cursor->valid(); cursor->next()) ++rows;
    return rows;
  };
  RepositoryInfo settings = *store_->find_repository("a/b").value();
  settings.protect.push_back({"refs/heads/main", true, true, {}});
  ASSERT_TRUE(store_->update_repository(settings, {}).has_value());
  RawPack pack;
  const ObjectId accepted = pack.commit(pack.object(ObjectType::kTree, tree_entry("100644", "f", pack.object(ObjectType::kBlob, "accepted"))));
  const ObjectId refused = pack.commit(pack.object(ObjectType::kTree, tree_entry("100644", "f", pack.object(ObjectType::kBlob, "refused"))));
  std::string request;
  format::append_pkt_line(request, none_.hex() + " " + accepted.hex() + " refs/heads/new" + std::string(1, '\0') + " report-status");
  format::append_pkt_line(request, first_.tip.hex() + " " + refused.hex() + " refs/heads/main");
  format::append_flush(request);
  const std::size_t before = count();
  const std::string answer = receive(request + pack.finish());
  EXPECT_NE(answer.find("ok refs/heads/new"), std::string::npos) << answer;
  EXPECT_NE(answer.find("ng refs/heads/main"), std::string::npos) << answer;
  EXPECT_EQ(count(), before + 1);
}

TEST_F(SmallLimits, objects_and_packs_over_the_limit) {
  RawPack big;
  big.object(ObjectType::kBlob, std::string(3 << 20, 'z'));
  refused(push(big.finish(), first_.tip), "object bytes");
  RawPack liar;  // says 1 byte, inflates to a megabyte
  liar.entry(format::PackEntryKind::kBlob, 1, "", std::string(1 << 20, 'z'));
  refused(push(liar.finish(), first_.tip), "inflates to more than its size");
  RawPack shorter;
  shorter.entry(format::PackEntryKind::kBlob, 100, "", "short");
  refused(push(shorter.finish(), first_.tip), "shorter than its size");
  RawPack many;
  for (int i = 0; i < 3001; ++i) many.object(ObjectType::kBlob, std::to_string(i));
  refused(push(many.finish(), first_.tip), "objects of a push");
  RawPack tree;
  tree.object(ObjectType::kTree, std::string(2 << 20, 't'));
  refused(push(tree.finish(), first_.tip), "object bytes");
}

// A reader holds the stream of an object that is not cold; a peer chose how long it is.
TEST_F(Hostile, a_stream_of_empty_blocks) {
  constexpr auto kBlob = format::PackEntryKind::kBlob;
  for (const std::size_t size : {std::size_t{1}, std::size_t{100'000}, std::size_t{3} << 20U}) {
    const std::string content(size, 'x');
    RawPack pack;
    pack.raw_entry(kBlob, size, padded_stream(content, compress::stream_bytes_max(size)));
    refused(push(pack.finish(), first_.tip), "deflated bytes of an object");
  }
  RawPack pack;  // a stream as long as it may be is taken
  const std::size_t plain = compress::deflate("y", 1).size();
  std::string stream = padded_stream("y", compress::stream_bytes_max(1) - plain);
  EXPECT_GT(stream.size() + 5, compress::stream_bytes_max(1));
  pack.raw_entry(kBlob, 1, stream);
  const ObjectId tree = pack.object(ObjectType::kTree, tree_entry("100644", "f", hash_object(kAlgorithm, ObjectType::kBlob, "y").value()));
  const ObjectId commit = pack.commit(tree);
  EXPECT_NE(push(pack.finish(), commit).find("ok refs/heads/evil"), std::string::npos);
}

TEST_F(SmallLimits, a_lying_count_and_a_wrong_checksum) {
  RawPack pack;
  const ObjectId tip = pack.commit(pack.object(ObjectType::kTree, ""));
  refused(push(pack.finish(1), tip), "unpack ");
  refused(push(pack.finish(-1), tip), "unpack ");
  std::string damaged = pack.finish();
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  refused(push(damaged, tip), "checksum");
  refused(push("PACK\0\0\0\7\0\0\0\1garbage-garbage-garbage", tip), "unpack ");
}

TEST_F(SmallLimits, a_pack_cut_at_any_byte_leaves_nothing) {
  RawPack pack;
  const ObjectId tip = pack.commit(pack.object(ObjectType::kTree, ""));
  const std::string whole = pack.finish();
  for (std::size_t cut = 0; cut < whole.size(); ++cut) refused(push(whole.substr(0, cut), tip), "");
}

TEST_F(SmallLimits, trees_in_trees) {
  RawPack pack;
  ObjectId tree = pack.object(ObjectType::kTree, tree_entry("100644", "f", pack.object(ObjectType::kBlob, "x")));
  for (int i = 0; i < 150; ++i) tree = pack.object(ObjectType::kTree, tree_entry("40000", "d", tree));
  refused(push(pack.finish(), pack.commit(tree)), "unpack ");  // the commit is not in the pack: refused at once
  RawPack again;
  tree = again.object(ObjectType::kTree, tree_entry("100644", "f", again.object(ObjectType::kBlob, "x")));
  for (int i = 0; i < 150; ++i) tree = again.object(ObjectType::kTree, tree_entry("40000", "d", tree));
  const ObjectId tip = again.commit(tree);
  refused(push(again.finish(), tip), "tree depth over the limit");
}

TEST_F(Hostile, git_bomb_costs_its_objects_not_its_paths) {
  RawPack pack;
  const ObjectId blob = pack.object(ObjectType::kBlob, "boom");
  ObjectId level = blob;
  for (int depth = 0; depth < 12; ++depth) {  // 10^12 paths
    std::string tree;
    for (char c = 'a'; c <= 'j'; ++c) tree += tree_entry(depth == 0 ? "100644" : "40000", std::string("d") + c, level);
    level = pack.object(ObjectType::kTree, tree);
  }
  const ObjectId patterns = pack.object(ObjectType::kBlob, "/da/\n!/da/db/\n");
  const std::string root = tree_entry("40000", "bomb", level) + tree_entry("100644", "patterns", patterns);
  const ObjectId tip = pack.commit(pack.object(ObjectType::kTree, root));
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_NE(push(pack.finish(), tip).find("ok refs/heads/evil"), std::string::npos);
  for (const char* filter : {"filter tree:20", "filter blob:none", "filter blob:limit=1"}) {
    EXPECT_NE(fetch(fetch_request({"want " + tip.hex(), filter, "done"})).find("PACK"), std::string::npos);
  }
  // A sparse filter looks at paths: it stops at its limit and says so.
  EXPECT_NE(fetch(fetch_request({"want " + tip.hex(), "filter sparse:oid=" + patterns.hex(), "done"})).find("too many trees"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(60));
}

// Each parent is held, and walked; a delta makes another commit with as many for a few octets.
TEST_F(SmallLimits, parents) {
  const auto parents = [&](int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += "parent " + first_.tip.hex() + "\n";
    return out;
  };
  RawPack pack;
  const ObjectId tree = pack.object(ObjectType::kTree, "");
  const ObjectId one = pack.commit(tree, parents(101));
  refused(push(pack.finish(), one), "parents of a commit 101 over 100");
  RawPack many;
  many.object(ObjectType::kTree, "");
  ObjectId tip = first_.tip;
  for (int i = 0; i < 11; ++i) tip = many.commit(tree, "parent " + tip.hex() + "\n" + parents(95));
  refused(push(many.finish(), tip), "parents of the commits of a push over 1000");
  RawPack few;
  few.object(ObjectType::kTree, "");
  tip = few.commit(tree, parents(100));
  EXPECT_NE(push(few.finish(), tip).find("ok refs/heads/evil"), std::string::npos);
}

class SparseFilter : public SmallLimits {
 protected:
  // A fetch with the patterns of all of `root`.
  std::string fetch_sparse(RawPack& pack, const std::string& root, const std::string& patterns = "/a/\n", const std::string& ref = "refs/heads/evil") {
    const ObjectId blob = pack.object(ObjectType::kBlob, patterns);
    const ObjectId tip = pack.commit(pack.object(ObjectType::kTree, root + tree_entry("100644", "z", blob)));
    const std::string answer = push(pack.finish(), tip, "a/b", ref);
    EXPECT_NE(answer.find("ok " + ref), std::string::npos) << answer.substr(0, 300);
    return fetch(fetch_request({"want " + tip.hex(), "filter sparse:oid=" + blob.hex(), "done"}));
  }
};

TEST_F(SparseFilter, long_paths) {
  RawPack pack;
  const ObjectId file = pack.object(ObjectType::kBlob, "x");
  ObjectId tree = pack.object(ObjectType::kTree, tree_entry("100644", "f", file));
  for (int i = 0; i < 4; ++i) tree = pack.object(ObjectType::kTree, tree_entry("40000", std::string(20'000, 'n'), tree));
  limits_.filter_work_max = Limits().filter_work_max;
  reopen();
  refused_text(fetch_sparse(pack, tree_entry("40000", "d", tree)), "path bytes of the sparse filter 80005 over 65536");
}

TEST_F(SparseFilter, long_paths_that_wait) {
  RawPack pack;
  const ObjectId leaf = pack.object(ObjectType::kTree, tree_entry("100644", "f", pack.object(ObjectType::kBlob, "x")));
  std::string many;
  for (int i = 1000; i < 2200; ++i) many += tree_entry("40000", std::to_string(i), leaf);
  const ObjectId tree = pack.object(ObjectType::kTree, tree_entry("40000", std::string(60'000, 'n'), pack.object(ObjectType::kTree, many)));
  limits_.filter_work_max = Limits().filter_work_max;
  limits_.filter_visits_max = Limits().filter_visits_max;
  reopen();
  refused_text(fetch_sparse(pack, tree_entry("40000", "d", tree)), "the sparse filter has too long paths to visit");
}

TEST_F(SparseFilter, many_patterns_on_many_paths) {
  RawPack pack;
  std::string many;
  const ObjectId file = pack.object(ObjectType::kBlob, "x");
  for (int i = 1000; i < 1100; ++i) many += tree_entry("100644", std::to_string(i) + "-of-a-file", file);
  std::string patterns;
  for (int i = 0; i < 100; ++i) patterns += "/not-this-one-" + std::to_string(i) + "*\n";
  EXPECT_NE(fetch_sparse(pack, tree_entry("40000", "d", pack.object(ObjectType::kTree, many))).find("PACK"), std::string::npos);
  RawPack again;
  refused_text(fetch_sparse(again, tree_entry("40000", "d", again.object(ObjectType::kTree, many)), patterns, "refs/heads/more"), "tries its patterns on too many paths");
}

TEST_F(SmallLimits, lines_over_their_limits) {
  const std::string want = "want " + first_.tip.hex();
  EXPECT_NE(fetch(fetch_request(std::vector<std::string>(11, want))).find("ERR too many wants"), std::string::npos);
  EXPECT_NE(fetch(fetch_request(std::vector<std::string>(11, "have " + first_.tip.hex()))).find("ERR too many haves"), std::string::npos);
  EXPECT_NE(fetch(fetch_request(std::vector<std::string>(11, "shallow " + first_.tip.hex()))).find("ERR too many shallow"), std::string::npos);
  EXPECT_NE(fetch(fetch_request(std::vector<std::string>(11, "ref-prefix x"), "ls-refs")).find("ERR too many ref-prefix"), std::string::npos);
  EXPECT_NE(fetch(fetch_request(std::vector<std::string>(11, "oid " + first_.tip.hex()), "object-info")).find("ERR too many oid"), std::string::npos);
  EXPECT_NE(fetch(fetch_request({want, "deepen 1", "deepen-since 5", "done"})).find("cannot be used together"), std::string::npos);
  EXPECT_NE(fetch(fetch_request({want, "filter combine:" + std::string(200, '+'), "done"})).find("ERR"), std::string::npos);
  std::string nested = "blob:none";
  for (int i = 0; i < 300; ++i) nested = "combine:" + nested;
  EXPECT_NE(fetch(fetch_request({want, "filter " + nested, "done"})).find("ERR"), std::string::npos);
  EXPECT_NE(fetch(fetch_request({want, "filter blob:limit=99999999999999999999", "done"})).find("ERR"), std::string::npos);
  EXPECT_NE(fetch(fetch_request({}, "launch")).find("ERR unknown command"), std::string::npos);
  EXPECT_NE(fetch("zzzz").find("ERR"), std::string::npos);
  EXPECT_NE(fetch("0003").find("ERR"), std::string::npos);
  EXPECT_NE(fetch("fff5" + std::string(70000, 'x')).find("ERR"), std::string::npos);
}

// A name as long as a packet came back in an error longer than one, which ended the server.
TEST_F(Hostile, its_own_words_come_back_cut) {
  const std::string want = "want " + first_.tip.hex();
  const std::string answer = fetch(fetch_request({want, "deepen-not " + std::string(65000, 'a'), "done"}));
  EXPECT_TRUE(Bytes(answer).substr(4).starts_with("ERR deepen-not is not a ref: aaa")) << answer.substr(0, 80);
  EXPECT_LT(answer.size(), 2000U);
}

TEST_F(Hostile, wants_are_judged_once_however_often_they_are_said) {
  std::vector<std::string> lines(20000, "want " + first_.tip.hex());
  lines.push_back("have " + first_.tip.hex());
  EXPECT_NE(fetch(fetch_request(lines)).find("ready"), std::string::npos);
}

TEST_F(Hostile, a_shallow_tree_is_no_commit) {
  const auto snapshot = open_snapshot(*store_, id_).value();
  const std::string commit = snapshot->read_object(first_.tip).value();
  EXPECT_NE(fetch(fetch_request({"want " + first_.tip.hex(), "shallow " + commit.substr(5, 40), "deepen 2147483647", "done"})).find("ERR invalid shallow object"), std::string::npos);
}

TEST_F(Hostile, a_blob_is_no_parent) {
  RawPack pack;
  const ObjectId blob = pack.object(ObjectType::kBlob, "no commit");
  const ObjectId tree = pack.object(ObjectType::kTree, tree_entry("100644", "f", blob));
  const ObjectId tip = pack.commit(tree, "parent " + blob.hex() + "\n");
  refused(push(pack.finish(), tip), "as a parent, which is no commit");
}

// Each commit above a hole was walked down to the hole.
TEST_F(Hostile, history_with_a_hole_costs_one_walk) {
  RawPack pack;
  ObjectId tip = pack.commit(ObjectId::from_raw(kAlgorithm, std::string(20, 'x')));  // its tree is missing
  const ObjectId blob = pack.object(ObjectType::kBlob, "b");
  const ObjectId tree = pack.object(ObjectType::kTree, tree_entry("100644", "f", blob));
  for (int i = 0; i < 20000; ++i) tip = pack.commit(tree, "parent " + tip.hex() + "\n");
  const auto begun = std::chrono::steady_clock::now();
  refused(push(pack.finish(), tip), "missing");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
}

TEST_F(Hostile, repeated_haves_are_acknowledged_once) {
  const std::string have = "have " + first_.tip.hex();
  const std::string answer = fetch(fetch_request({"want " + first_.tip.hex(), have, have, have}));
  const std::size_t once = answer.find("ACK " + first_.tip.hex());
  ASSERT_NE(once, std::string::npos);
  EXPECT_EQ(answer.find("ACK " + first_.tip.hex() + "\n", once + 1), std::string::npos);
}

TEST_F(Hostile, a_fork_s_objects_are_neither_bases_nor_wants_nor_parents) {
  ASSERT_TRUE(store_->fork_repository("a/b", "c/fork", {}).has_value());
  RawPack secret;
  const std::string text = "the fork's secret, long enough to be worth a delta\n";
  const ObjectId blob = secret.object(ObjectType::kBlob, text);
  const ObjectId tree = secret.object(ObjectType::kTree, tree_entry("100644", "f", blob));
  const ObjectId tip = secret.commit(tree);
  ASSERT_NE(push(secret.finish(), tip, "c/fork").find("ok refs/"), std::string::npos);
  bytes_before_ = bytes();
  RawPack thin;
  thin.ref_delta(blob, copy_delta(text.size(), 1));
  refused(push(thin.finish(), first_.tip), "neither in the pack nor in the repository");
  EXPECT_NE(fetch(fetch_request({"want " + blob.hex(), "done"})).find("not our ref"), std::string::npos);
  EXPECT_NE(fetch(fetch_request({"want " + tip.hex(), "done"})).find("not our ref"), std::string::npos);
  EXPECT_NE(fetch(fetch_request({"size", "oid " + blob.hex()}, "object-info")).find(blob.hex() + " 00"), std::string::npos);
  RawPack child;
  const ObjectId on_secret = child.commit(child.object(ObjectType::kTree, ""), "parent " + tip.hex() + "\n");
  refused(push(child.finish(), on_secret), "missing");
  RawPack names;
  refused(push(names.finish(), tip), "missing necessary objects");
}

// Each directory of a new ref must be no ref when it is committed.
TEST_F(SmallLimits, directories_of_new_refs) {
  limits_.ref_parent_bytes_per_push_max = 20'000;
  limits_.ref_name_bytes_per_push_max = 100'000;
  reopen();
  const auto commands = [&](int count, bool apart) {
    std::string out;
    for (int i = 0; i < count; ++i) {
      std::string name = "refs/heads";
      for (int k = 0; k < 40; ++k) name += apart ? "/d" + std::to_string(i) : "/d";
      name += "/" + std::to_string(i);
      format::append_pkt_line(out, none_.hex() + " " + first_.tip.hex() + " " + name + (i == 0 ? std::string(1, '\0') + " report-status" : ""));
    }
    format::append_flush(out);
    return out + RawPack().finish();
  };
  const std::string apart = receive(commands(100, true));
  EXPECT_NE(apart.find("ok refs/heads/d0/"), std::string::npos) << apart.substr(0, 300);
  EXPECT_NE(apart.find("/99 the new refs of this push have too many directories"), std::string::npos) << apart.substr(0, 300);
  const std::string together = receive(commands(500, false));  // directories count once
  EXPECT_EQ(together.find("ng "), std::string::npos) << together.substr(together.find("ng "), 200);
  refused_text(receive(commands(1500, false)), "too long together");
}

TEST_F(SmallLimits, ref_commands) {
  std::string twice;
  for (int i = 0; i < 1500; ++i) {
    format::append_pkt_line(twice, none_.hex() + " " + first_.tip.hex() + " refs/heads/b" + std::to_string(i % 1499) + (i == 0 ? std::string(1, '\0') + " report-status" : ""));
  }
  format::append_flush(twice);
  refused(receive(twice + RawPack().finish()), "a ref is named twice");
  std::string many;
  for (int i = 0; i < 2001; ++i) format::append_pkt_line(many, none_.hex() + " " + first_.tip.hex() + " refs/heads/b" + std::to_string(i) + (i == 0 ? std::string(1, '\0') + " report-status" : ""));
  format::append_flush(many);
  refused(receive(many + RawPack().finish()), "too many ref updates");
  for (const char* name : {"refs/heads/../../etc", "refs/heads/a..b", "refs/heads/a b", "refs/heads/a.lock", "refs/heads/", "HEAD", "main", "refs/heads/@{x}", "refs/heads/a\x01"}) {
    refused(push(RawPack().finish(), first_.tip, "a/b", name), "ng ");
  }
  refused(push(RawPack().finish(), first_.tip, "a/b", "refs/heads/" + std::string(2000, 'x')), "ref name too long");
}

TEST_F(SmallLimits, objects_that_harm_a_checkout) {
  const ObjectId blob = hash_object(kAlgorithm, ObjectType::kBlob, "x").value();
  for (const char* name : {".git", ".GIT", "git~1", "..", ".", "a/b", ".git ", ".g\xE2\x80\x8Cit"}) {
    RawPack pack;
    pack.object(ObjectType::kBlob, "x");
    const ObjectId tip = pack.commit(pack.object(ObjectType::kTree, tree_entry("100644", name, blob)));
    refused(push(pack.finish(), tip), "unpack object");
  }
  for (const char* modules : {"[submodule \"../../x\"]\n\tpath = a\n", "[submodule \"x\"]\n url = -u./payload\n", "[submodule \"x\"]\nurl = \"https://h/\\n\"\n",
                              "[submodule \"x\"]\nurl = https://h/%0ahost=evil\n", "[submodule \"x\"]\npath = -x\n", "[submodule \"x\"]\nupdate = !sh\n", "[submodule \"x\"]\nurl = https:///no/host\n"}) {
    for (const bool blob_last : {false, true}) {
      RawPack pack;
      const ObjectId id = hash_object(kAlgorithm, ObjectType::kBlob, modules).value();
      if (!blob_last) pack.object(ObjectType::kBlob, modules);
      const ObjectId tip = pack.commit(pack.object(ObjectType::kTree, tree_entry("100644", ".gitmodules", id)));
      if (blob_last) pack.object(ObjectType::kBlob, modules);
      refused(push(pack.finish(), tip), "gitmodules");
    }
  }
  RawPack link;
  link.object(ObjectType::kBlob, "x");
  const ObjectId tip = link.commit(link.object(ObjectType::kTree, tree_entry("120000", ".gitmodules", blob)));
  refused(push(link.finish(), tip), "gitmodulesSymlink");
}

TEST_F(Hostile, a_harmless_gitmodules_is_taken) {
  RawPack pack;
  const ObjectId id = pack.object(ObjectType::kBlob, "# ours\n[submodule \"lib/x\"]\n\tpath = lib/x\n\turl = https://example.com/x.git ; comment\n[submodule \"y\"]\n url = ../y.git\n");
  const ObjectId tip = pack.commit(pack.object(ObjectType::kTree, tree_entry("100644", ".gitmodules", id)));
  EXPECT_NE(push(pack.finish(), tip).find("ok refs/"), std::string::npos);
}

// What a client took the trouble to compress is stored as it came, also as a delta against the past.
TEST_F(Hostile, thin_packs_are_stored_as_they_came) {
  RawPack whole;
  const std::string text(5000, 'q');
  const ObjectId blob = whole.object(ObjectType::kBlob, text);
  const ObjectId tip = whole.commit(whole.object(ObjectType::kTree, tree_entry("100644", "f", blob)));
  ASSERT_NE(push(whole.finish(), tip).find("ok refs/"), std::string::npos);
  RawPack thin;
  const std::string delta = copy_delta(text.size(), 2);
  thin.ref_delta(blob, delta);
  const ObjectId twice = hash_object(kAlgorithm, ObjectType::kBlob, text + text).value();
  const ObjectId next = thin.commit(thin.object(ObjectType::kTree, tree_entry("100644", "f", twice)), "parent " + tip.hex() + "\n");
  ASSERT_NE(push(thin.finish(), next, "a/b", "refs/heads/thin").find("ok refs/"), std::string::npos);
  const auto now = store::open_repository_snapshot(store_->core(), id_).value();
  pack::ObjectReader reader(now.snapshot, now.row.pool, kAlgorithm, Limits{});
  const auto entry = reader.entry(*reader.find(twice).value()).value();
  EXPECT_TRUE(entry.object.is_delta);
  EXPECT_EQ(entry.payload, Bytes(compress::deflate(delta, 1)));
  EXPECT_EQ(open_snapshot(*store_, id_).value()->read_object(twice).value(), text + text);
}

}  // namespace
}  // namespace vexor
