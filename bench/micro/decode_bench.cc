// Decoding and encoding of what passes through on every request: pkt-lines, extent headers, pack entry
// headers, deltas, zlib streams.
#include <benchmark/benchmark.h>

#include "compress/zlib_stream.h"
#include "format/delta.h"
#include "format/extent.h"
#include "format/pack_entry.h"
#include "format/pkt_line.h"
#include "inputs.h"

namespace vexor::bench {
namespace {

void set_rate(benchmark::State& state, std::size_t bytes, std::size_t items) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(items));
}

// The want and have lines of a fetch.
void pkt_line_decode(benchmark::State& state) {
  std::string wire;
  for (int i = 0; i < 1000; ++i) format::append_pkt_line(wire, "have " + make_id(i).hex() + "\n");
  for (auto _ : state) {
    Bytes rest = wire;
    while (!rest.empty()) {
      const auto step = format::decode_pkt_line(rest);
      benchmark::DoNotOptimize(step.value().line.data.data());
      rest.remove_prefix(step.value().consumed);
    }
  }
  set_rate(state, wire.size(), 1000);
}
BENCHMARK(pkt_line_decode);

void sideband_encode(benchmark::State& state) {
  const std::string pack = make_noise(1 << 20);
  std::string out;
  for (auto _ : state) {
    out.clear();
    format::append_sideband(out, 1, pack, 65520);
    benchmark::DoNotOptimize(out.data());
  }
  set_rate(state, pack.size(), 1);
}
BENCHMARK(sideband_encode);

// As many objects as an extent of git.git holds (64 KiB of payloads of some 200 octets), two of three deltas.
void extent_header_decode(benchmark::State& state) {
  std::vector<format::ExtentObject> objects;
  for (int i = 0; i < 320; ++i) {
    format::ExtentObject object;
    object.type = i % 3 == 0 ? ObjectType::kTree : ObjectType::kBlob;
    object.is_delta = i % 3 != 0;
    object.id = make_id(i);
    object.entry_bytes = static_cast<std::uint64_t>(100 + i);
    object.object_bytes = object.is_delta ? static_cast<std::uint64_t>(9000 + i) : object.entry_bytes;
    object.payload_bytes = 200;
    object.depth = object.is_delta ? 3 : 0;
    object.base = object.is_delta ? static_cast<format::ObjectNumber>(1000 + i - 1) : format::kNoObject;
    objects.push_back(object);
  }
  const std::string header = format::encode_extent_header(1000, objects) + std::string(320 * 200, 'p');
  for (auto _ : state) {
    const auto decoded = format::decode_extent_header(1000, HashAlgorithm::kSha1, header);
    benchmark::DoNotOptimize(decoded.value().objects.data());
  }
  set_rate(state, header.size(), objects.size());
}
BENCHMARK(extent_header_decode);

void pack_entry_header_encode(benchmark::State& state) {
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (std::uint64_t i = 0; i < 1000; ++i) {
      format::append_pack_entry_header(out, format::PackEntryKind::kOfsDelta, 37 * i);
      format::append_ofs_distance(out, 211 * i + 1);
    }
    benchmark::DoNotOptimize(out.data());
  }
  set_rate(state, out.size(), 1000);
}
BENCHMARK(pack_entry_header_encode);

void pack_entry_header_decode(benchmark::State& state) {
  std::string wire;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    format::append_pack_entry_header(wire, format::PackEntryKind::kOfsDelta, 37 * i);
    format::append_ofs_distance(wire, 211 * i + 1);
  }
  for (auto _ : state) {
    Bytes rest = wire;
    while (!rest.empty()) {
      const auto header = format::decode_pack_entry_header(rest, HashAlgorithm::kSha1);
      rest.remove_prefix(header.value()->header_bytes);
    }
    benchmark::DoNotOptimize(rest.data());
  }
  set_rate(state, wire.size(), 1000);
}
BENCHMARK(pack_entry_header_decode);

// A tree of some 300 entries with one id changed: copy, insert 20, copy. Most deltas of a repository are such.
void delta_apply_tree(benchmark::State& state) {
  const std::string base = make_tree(300);
  std::string delta;
  append_varint(delta, base.size());
  append_varint(delta, base.size());
  const std::size_t at = base.size() / 2;
  append_copy(delta, 0, at);
  delta.push_back(20);
  delta += make_noise(20);
  append_copy(delta, at + 20, base.size() - at - 20);
  std::string out;
  for (auto _ : state) {
    if (format::apply_delta(base, delta, 1 << 20, out).has_error()) state.SkipWithError("the delta does not apply");
    benchmark::DoNotOptimize(out.data());
  }
  set_rate(state, base.size(), 1);
}
BENCHMARK(delta_apply_tree);

// A source file with many small edits: 200 copies and inserts.
void delta_apply_edits(benchmark::State& state) {
  const std::string base = make_source(40'000);
  std::string delta;
  append_varint(delta, base.size());
  append_varint(delta, 200 * (150 + 10));
  for (std::size_t i = 0; i < 200; ++i) {
    append_copy(delta, i * 190, 150);
    delta.push_back(10);
    delta += "0123456789";
  }
  std::string out;
  for (auto _ : state) {
    if (format::apply_delta(base, delta, 1 << 20, out).has_error()) state.SkipWithError("the delta does not apply");
    benchmark::DoNotOptimize(out.data());
  }
  set_rate(state, out.size(), 1);
}
BENCHMARK(delta_apply_edits);

void inflate(benchmark::State& state) {
  const std::string text = make_source(static_cast<std::size_t>(state.range(0)));
  const std::string stream = compress::deflate(text, 6);
  for (auto _ : state) {
    const auto inflated = compress::inflate_exact(stream, text.size());
    benchmark::DoNotOptimize(inflated.value().data());
  }
  set_rate(state, text.size(), 1);
}
BENCHMARK(inflate)->Arg(120)->Arg(2000)->Arg(64 << 10)->Arg(4 << 20);

void inflate_front(benchmark::State& state) {
  const std::string text = make_source(static_cast<std::size_t>(state.range(0)));
  const std::string stream = compress::deflate(text, 6) + std::string(64, 'x');
  std::string out(text.size(), '\0');
  for (auto _ : state) benchmark::DoNotOptimize(compress::inflate_front(stream, out));
  set_rate(state, text.size(), 1);
}
BENCHMARK(inflate_front)->Arg(120)->Arg(2000)->Arg(64 << 10);

}  // namespace
}  // namespace vexor::bench
