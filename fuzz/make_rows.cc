// Writes the seeds that are stored rows: the encoders are ours. Usage: fuzz_make_rows CORPUS_DIRECTORY
#include <filesystem>
#include <fstream>

#include "compress/zlib_stream.h"
#include "format/extent.h"
#include "format/journal_record.h"
#include "format/log_rows.h"
#include "format/state_rows.h"
#include "pack/reachability.h"
#include "vexorstore/link_rows.h"

namespace {

void write(const std::filesystem::path& root, const char* target, const char* name, const std::string& bytes) {
  std::filesystem::create_directories(root / target);
  std::ofstream(root / target / name, std::ios::binary) << bytes;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace vexor;
  if (argc != 2) return 2;
  const std::filesystem::path root = argv[1];
  const ObjectId id = ObjectId::from_raw(HashAlgorithm::kSha1, "0123456789abcdefghij");
  format::ExtentObject whole{ObjectType::kTree, false, false, id, 300, 300, 120, 0, format::kNoObject, 0};
  format::ExtentObject delta{ObjectType::kBlob, true, false, id, 30, 70000, 25, 3, 12, 120};
  write(root, "extent", "two", format::encode_extent_header(77, {whole, delta}) + std::string(145, 'p'));
  format::RefRow ref;
  ref.id = id;
  ref.number = 5;
  ref.peeled = id;
  ref.peeled_number = 4;
  write(root, "state_rows", "ref", format::encode_ref_row(ref));
  format::RefRow head;
  head.symref_target = "refs/heads/main";
  write(root, "state_rows", "head", format::encode_ref_row(head));
  format::RepositoryRow row;
  row.name = "a/b";
  row.protect.push_back({"refs/heads/*", true, false, {"ann", "bob"}});
  row.hidden = {"refs/pull/*"};
  row.bundles = {"x.uri=https://example.com/x"};
  write(root, "state_rows", "repository", format::encode_repository_row(row));
  pack::BitmapRow bitmap;
  bitmap.base = 3;
  bitmap.depth = 2;
  bitmap.additions.addRange(10, 90000);
  bitmap.additions.add(70'000'000U);
  bitmap.additions.runOptimize();
  write(root, "state_rows", "bitmap", pack::encode_bitmap_row(bitmap));
  pack::GraphRow graph;
  graph.tree = 9;
  graph.parents = {1, 2, 3};
  graph.generation = 300;
  graph.commit_time = 1'700'000'000;
  write(root, "state_rows", "graph", pack::encode_graph_row(graph));
  format::JournalRecord record;
  record.sequence = 7;
  record.actor_name = "ann";
  record.subject = "a/b";
  record.object_count = 3;
  record.objects_digest = std::string(32, 'd');
  record.previous_hash = std::string(32, 'h');
  record.refs.push_back({"refs/heads/main", format::encode_ref_row(ref), format::encode_ref_row(head)});
  record.changes.push_back({sys::Family::kGrants, "key", std::string("value")});
  record.changes.push_back({sys::Family::kGrants, "gone", std::nullopt});
  record.erasures.push_back({sys::Family::kRefs, "a", "b"});
  write(root, "journal_record", "push", format::encode_journal_record(record));
  sys::Batch rows;
  rows.put(sys::Family::kExtents, "key", "value");
  rows.put(sys::Family::kShapes, "key", std::string(200, '\2'));
  write(root, "log_rows", "push", format::encode_log_rows(HashAlgorithm::kSha1, rows));
  sys::Batch extents;
  std::vector<format::ExtentObject> objects;
  std::string payload;
  for (const char* content : {"a blob", "", "a delta"}) {
    const std::string stream = compress::deflate(content, 6);
    format::ExtentObject object{ObjectType::kBlob, false, false, id, std::string(content).size(), std::string(content).size(), stream.size(), 0, format::kNoObject, 0};
    if (objects.size() == 2) object = {ObjectType::kBlob, true, false, id, object.entry_bytes, 40, stream.size(), 1, 7, 0};
    objects.push_back(object);
    payload += stream;
  }
  extents.put(sys::Family::kExtents, format::extent_key(1, 7), format::encode_extent_header(7, objects) + payload);
  extents.put(sys::Family::kExtents, format::extent_key(1, 10, 1), "a chunk");
  extents.put(sys::Family::kGraph, format::number_key(1, 7), "row");
  const std::string log_rows = format::encode_log_rows(HashAlgorithm::kSha1, extents);
  write(root, "link_rows", "log", log_rows);
  write(root, "link_rows", "link", to_link_rows(log_rows).value());
  return 0;
}
