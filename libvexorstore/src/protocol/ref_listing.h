// Refs as upload-pack and receive-pack tell them: the advertisements of versions 0 and 1, and ls-refs of version
// 2, from the table of the refs that the repository shows.
#pragma once

#include "store/ref_table.h"

namespace vexor::protocol {

// Spec: gitprotocol-v2 "ls-refs".
struct LsRefs {
  bool symrefs = false;
  bool peel = false;
  bool unborn = false;
  std::vector<std::string> prefixes;  // empty: all
  std::uint64_t prefix_bytes = 0;     // of the lines taken
};
// Takes one argument line. Errors: kProtocol, kLimitExceeded.
Result<void> parse_ls_refs_argument(Bytes text, const Limits& limits, LsRefs& request);

// One answer to ls-refs, in pieces, in the order of ref names; no flush behind it.
class RefListing {
 public:
  RefListing(store::RefTablePtr table, LsRefs request);
  bool done() const { return prefix_ == request_.prefixes.size(); }
  // Appends some `bytes` or more, unless it is done before.
  void next(std::string& out, std::size_t bytes);

 private:
  void begin_prefix();
  // What the block at hand has of the prefix. False: what follows is behind the prefix.
  bool append_block(std::string& out) const;

  store::RefTablePtr table_;
  LsRefs request_;
  std::size_t prefix_ = 0;
  std::size_t block_ = 0;
};

// One advertisement of versions 0 and 1, in pieces, with a flush behind it. Spec: gitprotocol-pack "Reference Discovery".
class RefAdvertisement {
 public:
  enum class To { kFetch, kUpdate };  // to who updates: no symrefs, nothing peeled
  // The symrefs of the table are added to the capabilities of a fetch.
  RefAdvertisement(store::RefTablePtr table, HashAlgorithm algorithm, To to, std::string capabilities);
  bool done() const { return done_; }
  // Appends some `bytes` or more, unless it is done before.
  void next(std::string& out, std::size_t bytes);

 private:
  void add_symrefs();
  void append_block(const store::RefBlock& block, std::string& out);

  store::RefTablePtr table_;
  HashAlgorithm algorithm_;
  To to_;
  std::string capabilities_;  // empty: told
  std::size_t block_ = 0;
  bool done_ = false;
};

}  // namespace vexor::protocol
