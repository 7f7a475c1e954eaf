#include "replication/transport/rows_stream.h"

#include <zlib.h>

#include "vexorstore/link_rows.h"

namespace vexor::replication {

std::uint32_t checksum_of(const std::string& rows) {
  return static_cast<std::uint32_t>(::crc32_z(0, static_cast<const Bytef*>(static_cast<const void*>(rows.data())), rows.size()));
}

namespace {

grpc::Status refuse(const Error& error) { return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, error.message()); }

class GrpcRowsCall final : public RowsCall {
 public:
  GrpcRowsCall(std::unique_ptr<grpc::ClientContext> context, peer::Peer::Stub& member, const RowsOffer& offer, const RowsWay& way)
      : way_(way), context_(std::move(context)), stream_(member.OfferRows(context_.get())) {
    first_.mutable_offer()->set_epoch(offer.epoch);
    first_.mutable_offer()->set_range(offer.range);
  }
  ~GrpcRowsCall() override {
    context_->TryCancel();
    (void)stream_->Finish();
  }
  Result<std::uint64_t> begin() override {
    peer::RowsAnswer answer;
    if (!stream_->Write(first_) || !stream_->Read(&answer)) return failed();
    way_.as_link = way_.as_link && answer.takes_link_rows();
    return answer.pieces();
  }
  Result<void> send(const std::string& piece) override {
    peer::RowsInput next;
    *next.mutable_piece() = to_wire(piece, way_.as_link);
    if (!stream_->Write(next)) return failed();
    if (way_.pace != nullptr) way_.pace->sent(next.piece().rows().size());
    return success();
  }
  Result<void> finish() override {
    peer::RowsInput last;
    last.set_end(true);
    peer::RowsAnswer answer;
    if (!stream_->Write(last) || !stream_->Read(&answer)) return failed();
    return success();
  }
  void cancel() override { context_->TryCancel(); }

 private:
  static Error failed() { return Error(Errc::kUnavailable, "the member does not take rows now"); }

  RowsWay way_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<peer::RowsInput, peer::RowsAnswer>> stream_;
  peer::RowsInput first_;
};

// Until the end of the rows, or of the call.
grpc::Status take_pieces(const WithHost& with_host, grpc::ServerReaderWriter<peer::RowsAnswer, peer::RowsInput>& stream, RowsShelf::Taking& taking) {
  peer::RowsAnswer answer;
  answer.set_pieces(taking.pieces);
  answer.set_takes_link_rows(true);
  peer::RowsInput next;
  std::string room;
  if (!stream.Write(answer)) return grpc::Status::CANCELLED;
  while (stream.Read(&next)) {
    Result<void> done = success();
    const bool is_end = next.part_case() == peer::RowsInput::kEnd;
    if (!is_end && next.part_case() != peer::RowsInput::kPiece) return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "neither rows nor their end");
    const auto rows = is_end ? Result<Bytes>(Bytes()) : rows_of(next.piece(), room);
    if (rows.has_error()) return grpc::Status(grpc::StatusCode::DATA_LOSS, rows.error().message());
    const bool there = with_host([&](ReplicaHost& host) { done = is_end ? host.shelf().finish(taking) : host.shelf().add(taking, rows.value()); });
    if (!there) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping");
    if (done.has_error()) return refuse(done.error());
    if (!is_end) continue;
    answer.set_pieces(taking.pieces);
    if (!stream.Write(answer)) return grpc::Status::CANCELLED;
    (void)stream.Read(&next);  // the sender ends the call when the record has an outcome
    return grpc::Status::OK;
  }
  return grpc::Status::CANCELLED;
}

}  // namespace

peer::RowsPiece to_wire(std::string rows, bool as_link) {
  peer::RowsPiece out;
  if (as_link) {
    auto link = to_link_rows(rows);
    if (link.has_value() && link.value().size() < rows.size()) {
      rows = std::move(link).value();
      out.set_is_link(true);
    }
  }
  out.set_checksum(checksum_of(rows));
  out.set_rows(std::move(rows));
  return out;
}

Result<Bytes> rows_of(const peer::RowsPiece& piece, std::string& room) {
  if (checksum_of(piece.rows()) != piece.checksum()) return Error(Errc::kProtocol, "rows that changed on their way");
  if (!piece.is_link()) return Bytes(piece.rows());
  VEXOR_TRY(room, from_link_rows(piece.rows()));
  return Bytes(room);
}

grpc::Status run_rows_offer(const WithHost& with_host, NodeId from, grpc::ServerReaderWriter<peer::RowsAnswer, peer::RowsInput>& stream) {
  peer::RowsInput first;
  if (!stream.Read(&first) || first.part_case() != peer::RowsInput::kOffer) return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no offer");
  std::unique_ptr<RowsShelf::Taking> taking;
  std::optional<Error> refused;
  const bool there = with_host([&](ReplicaHost& host) {
    auto taken = host.take_rows(from, {first.offer().epoch(), first.offer().range()});
    if (taken.has_value()) taking = std::move(taken).value();
    else refused.emplace(std::move(taken).error());
  });
  if (!there) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "not yet");
  if (refused) return refuse(*refused);
  grpc::Status status = take_pieces(with_host, stream, *taking);
  with_host([&](ReplicaHost& host) { host.shelf().end(std::move(taking)); });
  return status;
}

std::unique_ptr<RowsCall> make_rows_call(std::unique_ptr<grpc::ClientContext> context, peer::Peer::Stub& member, const RowsOffer& offer, const RowsWay& way) {
  return std::make_unique<GrpcRowsCall>(std::move(context), member, offer, way);
}

}  // namespace vexor::replication
