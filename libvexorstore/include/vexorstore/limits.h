// Every number that a peer can choose has a name and a ceiling here. docs/limits.md explains them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vexor {

// Fixed by the formats.
constexpr std::size_t kPktLineBytesMax = 65520;       // including the 4 length digits
constexpr std::size_t kPktLineDataBytesMax = 65516;
constexpr std::size_t kRefNameBytesMax = 1024;

// Configurable, globally and (where a repository may only tighten) per repository. 0 never means
// "unlimited".
struct Limits {
  std::uint64_t pack_bytes_max = 32ULL << 30;           // received pack, wire bytes
  std::uint64_t object_bytes_max = 8ULL << 30;          // inflated size of one blob
  std::uint64_t structured_object_bytes_max = 128ULL << 20;  // one commit, tree or tag
  std::uint64_t delta_object_bytes_max = 512ULL << 20;  // base or result of one delta (in memory)
  std::uint32_t objects_per_push_max = 50'000'000;
  std::uint32_t delta_depth_max = 4095;                 // longest chain accepted from a client, and stored
  std::uint64_t chain_bytes_max = 1ULL << 30;           // all objects of a stored chain, unless they are few
  std::uint64_t whole_bytes_per_push_max = 32ULL << 30;  // deltas that are stored whole because of these two
  std::uint64_t resolve_bytes_max = 4ULL << 40;         // sum of all inflated objects of a push
  std::uint32_t tree_depth_max = 2048;
  std::uint32_t commit_parents_max = 65535;             // of one commit
  std::uint32_t parents_per_push_max = 8'000'000;       // of all commits of a push
  std::uint32_t refs_per_repository_max = 2'000'000;
  std::uint32_t ref_updates_per_push_max = 500'000;
  std::uint64_t ref_name_bytes_per_push_max = 64ULL << 20;    // all names of a push
  std::uint64_t ref_parent_bytes_per_push_max = 64ULL << 20;  // all directories of new names of a push
  std::uint32_t protect_rules_max = 100;                // of one repository
  std::uint64_t protect_bytes_max = 64ULL << 10;        // their patterns and users' names together
  std::uint32_t wants_max = 2'000'000;
  std::uint32_t haves_max = 1'000'000;
  std::uint32_t push_options_max = 64;
  std::uint32_t push_option_bytes_max = 4096;
  std::uint32_t ref_prefixes_max = 65536;
  std::uint64_t ref_prefix_bytes_max = 4ULL << 20;      // all ref-prefix lines of one ls-refs
  std::uint32_t shallow_lines_max = 1'000'000;
  std::uint32_t filter_spec_bytes_max = 4096;
  std::uint32_t filter_terms_max = 64;                  // filters in one combine:
  std::uint64_t filter_pattern_bytes_max = 1ULL << 20;  // the blob of one sparse:oid
  std::uint32_t filter_patterns_max = 4096;
  std::uint32_t filter_visits_max = 4'000'000;          // (tree, path) pairs of one sparse:oid
  std::uint32_t filter_path_bytes_max = 65536;          // one path that a sparse:oid looks at
  std::uint64_t filter_work_max = 1'000'000'000'000;    // octets of its patterns times octets of paths
  std::uint32_t object_info_max = 100'000;              // ids in one object-info command
  std::uint32_t request_header_lines_max = 256;         // capability lines of one v2 command
  std::uint64_t ingest_memory_bytes = 256ULL << 20;     // delta bases held while resolving
  std::uint64_t fetch_cache_bytes = 64ULL << 20;        // bases held by one fetch
  std::uint64_t spool_memory_bytes = 8ULL << 20;        // a push larger than this goes to a file
};

}  // namespace vexor
