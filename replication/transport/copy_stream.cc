#include "replication/transport/copy_stream.h"

#include <algorithm>
#include <thread>

#include "replication/transport/wire.h"
#include "vexorstore/store_copy.h"

namespace vexor::replication {

namespace {

constexpr std::chrono::seconds kOpenSecondsMax{600};  // a checkpoint writes what is in memory
constexpr std::chrono::seconds kCloseSecondsMax{60};
constexpr std::uint64_t kHashedPerSecond = 16U << 20U;  // by the slowest source, of what is before the offset

grpc::Status refuse(const Error& error) {
  const auto code = error.code() == Errc::kNotFound ? grpc::StatusCode::NOT_FOUND : error.code() == Errc::kIo ? grpc::StatusCode::DATA_LOSS : grpc::StatusCode::UNAVAILABLE;
  return grpc::Status(code, error.message());
}

// The events of one call, one at a time. When one takes longer than it may, the call is cancelled.
class CallEvents {
 public:
  explicit CallEvents(grpc::ClientContext& context) : context_(context) {}
  ~CallEvents() {
    queue_.Shutdown();
    void* tag = nullptr;
    for (bool ok = false; queue_.Next(&tag, &ok);) {}
  }
  CallEvents(const CallEvents&) = delete;
  CallEvents& operator=(const CallEvents&) = delete;
  grpc::CompletionQueue* queue() { return &queue_; }
  // Whether what was begun last came off.
  bool wait(std::chrono::milliseconds most) {
    void* tag = nullptr;
    bool ok = false;
    if (queue_.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + most) != grpc::CompletionQueue::TIMEOUT) return ok;
    is_late_ = true;
    context_.TryCancel();
    return queue_.Next(&tag, &ok) && ok;
  }
  bool is_late() const { return is_late_; }

 private:
  grpc::ClientContext& context_;
  grpc::CompletionQueue queue_;
  bool is_late_ = false;
};

// The digest of what is before the offset, which the other one has.
Result<void> digest_before(const std::function<Result<std::string>(std::uint64_t)>& read, std::uint64_t offset, FileDigest& digest) {
  for (std::uint64_t at = 0; at < offset; at += kCopyPieceBytesMax) {
    VEXOR_TRY(const std::string piece, read(at));
    if (piece.empty()) return Error(Errc::kInvalidArgument, "behind the end of a file of the copy");
    digest.add(piece);
  }
  return success();
}

class GrpcCopyPeer final : public CopyPeer {
 public:
  GrpcCopyPeer(NodeId self, peer::Peer::Stub& member, const CopyWaits& waits) : self_(self), member_(member), waits_(waits) {}

  Result<CopyOffer> open(Epoch at_least) override {
    grpc::ClientContext context;
    begin(context);
    context.set_deadline(std::chrono::system_clock::now() + kOpenSecondsMax);
    peer::CopyRequest request;
    request.set_at_least(at_least);
    peer::CopyOffer told;
    if (const grpc::Status status = member_.OpenCopy(&context, request, &told); !status.ok()) return failed(status);
    CopyOffer out;
    out.id = told.id();
    out.epoch = told.epoch();
    VEXOR_TRY(out.at, take_entry_id(told.at()));
    for (const peer::CopyFile& file : told.files()) out.files.push_back({file.name(), file.bytes()});
    VEXOR_TRY(check_offer(out));
    return out;
  }

  Result<std::string> read(const CopyOffer& offer, const CopyFile& file, std::uint64_t offset, const std::function<Result<void>(Bytes)>& take_piece) override {
    grpc::ClientContext context;
    begin(context);
    peer::CopyRead request;
    request.set_id(offer.id);
    request.set_name(file.name);
    request.set_offset(offset);
    CallEvents events(context);
    const auto stream = member_.AsyncReadCopy(&context, request, events.queue(), nullptr);
    peer::CopyPiece piece;
    std::string digest;
    Result<void> taken = success();
    std::chrono::milliseconds wait = std::min(waits_.piece + std::chrono::seconds(static_cast<std::int64_t>(offset / kHashedPerSecond)), waits_.first_piece);
    if (events.wait(waits_.piece)) {
      while (taken.has_value() && digest.empty()) {
        stream->Read(&piece, nullptr);
        if (!events.wait(wait)) break;
        taken = one(piece, digest, take_piece);
        wait = waits_.piece;
      }
    }
    if (taken.has_error()) context.TryCancel();
    grpc::Status status;
    stream->Finish(&status, nullptr);
    (void)events.wait(waits_.piece);
    if (taken.has_error()) return std::move(taken).error();
    if (events.is_late()) return Error(Errc::kUnavailable, "a copy of the store: no piece came for too long");
    if (!status.ok()) return failed(status);
    if (digest.empty()) return Error(Errc::kProtocol, "a file of a copy without its digest");
    return digest;
  }

  void close(const CopyOffer& offer) override {
    grpc::ClientContext context;
    begin(context);
    context.set_deadline(std::chrono::system_clock::now() + kCloseSecondsMax);
    peer::CopyClose request;
    request.set_id(offer.id);
    peer::CopyClosed closed;
    (void)member_.CloseCopy(&context, request, &closed);  // else it expires there
  }

 private:
  static Result<void> one(const peer::CopyPiece& piece, std::string& digest, const std::function<Result<void>(Bytes)>& take_piece) {
    if (piece.octets().empty()) {
      digest = piece.digest();
      if (digest.size() != Digest{}.size()) return Error(Errc::kProtocol, "a digest that is not of 32 octets");
      return success();
    }
    if (piece.octets().size() > kCopyPieceBytesMax) return Error(Errc::kProtocol, "a piece of a copy over the limit");
    if (checksum_of(piece.octets()) != piece.checksum()) return Error(Errc::kProtocol, "a piece of a copy that changed on its way");
    return take_piece(piece.octets());
  }
  void begin(grpc::ClientContext& context) const { context.AddMetadata("vexor-node", std::to_string(self_)); }
  static Error failed(const grpc::Status& status) { return Error(Errc::kUnavailable, "a copy of the store: " + status.error_message()); }

  NodeId self_;
  peer::Peer::Stub& member_;
  CopyWaits waits_;
};

}  // namespace

grpc::Status answer_open_copy(const WithHost& with_host, NodeId caller, const peer::CopyRequest& request, peer::CopyOffer& offer) {
  std::optional<Error> refused;
  const bool there = with_host([&](ReplicaHost& host) {
    auto made = host.open_copy(caller, request.at_least());
    if (made.has_error()) {
      refused.emplace(std::move(made).error());
      return;
    }
    offer.set_id(made.value().id);
    offer.set_epoch(made.value().epoch);
    put_entry_id(*offer.mutable_at(), made.value().at);
    for (const CopyFile& file : made.value().files) {
      peer::CopyFile& out = *offer.add_files();
      out.set_name(file.name);
      out.set_bytes(file.bytes);
    }
  });
  if (!there) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "not yet");
  return refused ? refuse(*refused) : grpc::Status::OK;
}

grpc::Status answer_read_copy(const WithHost& with_host, NodeId caller, const peer::CopyRead& request, std::uint64_t bytes_per_second,
                              const grpc::ServerContext& context, grpc::ServerWriter<peer::CopyPiece>& writer) {
  const auto read = [&](std::uint64_t at) -> Result<std::string> {
    if (context.IsCancelled()) return Error(Errc::kUnavailable, "nobody waits for it any more");
    Result<std::string> piece = Error(Errc::kUnavailable, "stopping");
    with_host([&](ReplicaHost& host) { piece = host.read_copy(caller, request.id(), request.name(), at); });
    return piece;
  };
  FileDigest digest;
  if (auto done = digest_before(read, request.offset(), digest); done.has_error()) return refuse(done.error());
  const auto begun = std::chrono::steady_clock::now();
  std::uint64_t sent = 0;
  for (std::uint64_t at = request.offset();; at += kCopyPieceBytesMax) {
    auto piece = read(at);
    if (piece.has_error()) return refuse(piece.error());
    peer::CopyPiece out;
    if (piece.value().empty()) {
      out.set_digest(digest.value());
      return writer.Write(out) ? grpc::Status::OK : grpc::Status::CANCELLED;
    }
    digest.add(piece.value());
    sent += piece.value().size();
    out.set_checksum(checksum_of(piece.value()));
    out.set_octets(std::move(piece).value());
    if (!writer.Write(out)) return grpc::Status::CANCELLED;
    std::this_thread::sleep_until(begun + std::chrono::milliseconds(sent * 1000 / bytes_per_second));
  }
}

std::unique_ptr<CopyPeer> make_copy_peer(NodeId self, peer::Peer::Stub& member, const CopyWaits& waits) { return std::make_unique<GrpcCopyPeer>(self, member, waits); }

}  // namespace vexor::replication
