// SharedPack: clients that ask for the same pack at the same time get it from one production.
//
// Pieces of it are kept while somebody who is close behind will want them. Whoever comes to the end of what is made makes
// the next piece; whoever is so far behind that his piece is gone makes it for himself, with the plan of all, until he has
// caught up. So nobody waits for a slower reader, and memory has a limit whatever the readers do.
//
// Threads: any; a PackStream belongs to one at a time. Spec: docs/limits.md.
#pragma once

#include <deque>
#include <set>

#include "pack/pack_writer.h"

namespace vexor::pack {

class SharedPack {
 public:
  static constexpr std::size_t kPieceBytes = 256 * 1024 - 64;  // of the pack, or somewhat more
  static constexpr std::size_t kPiecesMax = 128;               // kept of one pack
  static constexpr std::uint64_t kFirstPieces = 64;            // kept for those who come while they are made
  static constexpr std::uint64_t kBytesMax = 96U << 20U;       // of the pieces of all packs of a store

  SharedPack(store::StoreCore& core, const ObjectReader& like, std::shared_ptr<PackPlan> plan, std::size_t line_bytes_max);
  ~SharedPack();
  SharedPack(const SharedPack&) = delete;
  SharedPack& operator=(const SharedPack&) = delete;

 private:
  friend class PackStream;
  using Piece = std::shared_ptr<const std::string>;
  // What a reader can do about a piece.
  struct Look {
    Piece piece;           // kept: take it
    bool is_next = false;  // nobody made it yet
    PackPosition from;     // else: where it begins, for who makes it for himself
    std::string trailer;   // empty: nobody came to the end yet
    bool is_last = false;  // of `piece`
  };

  void retire();
  void enter();
  void leave(std::uint64_t at);
  Look look(std::uint64_t at);
  void advance(std::uint64_t from);
  enum class Made : std::uint8_t { kByOthers, kOne, kLast };
  Result<Made> make(std::uint64_t at, std::string& out);
  void drop_unwanted();  // mutex_ is held
  void drop_front();     // mutex_ is held

  store::StoreCore& core_;
  const std::shared_ptr<PackPlan> plan_;
  const std::size_t line_bytes_max_;
  ObjectReader reader_;  // of writer_
  std::mutex making_;    // taken before mutex_
  PackWriter writer_;            // guarded by making_
  std::optional<Error> failed_;  // guarded by making_; also while a piece is made
  std::mutex mutex_;
  std::vector<PackPosition> starts_{PackPosition()};  // guarded by mutex_; of each piece made, and of the next
  std::deque<Piece> pieces_;                          // guarded by mutex_; the latest ones made
  std::multiset<std::uint64_t> readers_;              // guarded by mutex_; the piece that each wants next
  std::string trailer_;                               // guarded by mutex_; not empty: all is made
};

// One reader of a pack.
class PackStream {
 public:
  // `reader` must outlive the stream. `line_bytes_max`: as of PackOutput.
  static Result<std::unique_ptr<PackStream>> open(store::StoreCore& core, ObjectReader& reader, Roaring send, SetPtr have,
                                                  PackOptions options, std::size_t line_bytes_max);
  ~PackStream();
  PackStream(const PackStream&) = delete;
  PackStream& operator=(const PackStream&) = delete;

  std::uint32_t object_count() const { return static_cast<std::uint32_t>(pack_->plan_->numbers.size()); }
  bool done() const { return done_; }
  // Appends the next piece to `out`. Call until done(). Blocks.
  Result<void> next(std::string& out);
  // The same if the piece is there; false: it is not. Does not block.
  bool next_if_ready(std::string& out);

 private:
  PackStream(store::StoreCore& core, ObjectReader& reader, std::shared_ptr<SharedPack> pack);
  void took(bool is_last);
  Result<void> make_alone(const SharedPack::Look& look, std::string& out);

  store::StoreCore& core_;
  ObjectReader& reader_;
  const std::shared_ptr<SharedPack> pack_;
  std::uint64_t at_ = 0;                // the piece that is next
  std::optional<PackWriter> straggler_;  // makes pieces that are gone
  bool done_ = false;
};

}  // namespace vexor::pack
