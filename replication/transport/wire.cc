#include "replication/transport/wire.h"

#include <google/protobuf/util/json_util.h>

#include "replication/host/entry_codec.h"
#include "replication/limits.h"
#include "replication/transport/record_json.h"

namespace vexor::replication {

void put_entry_id(peer::EntryId& to, const EntryId& id) {
  to.set_sequence(id.sequence);
  to.set_hash(to_hash(id.hash));
}

Result<EntryId> take_entry_id(const peer::EntryId& from) {
  if (from.hash().size() != Digest{}.size()) return Error(Errc::kProtocol, "a hash that is not of 32 octets");
  return EntryId{from.sequence(), to_digest(from.hash())};
}

namespace {

void put(peer::Record& to, const Record& record) {
  to.set_epoch(record.epoch);
  to.set_primary(record.primary);
  to.set_primary_incarnation(record.primary_incarnation);
  for (const InSync& entry : record.in_sync) {
    to.add_in_sync(entry.id);
    if (record.has_names()) to.add_in_sync_names(entry.store);  // else older releases read the record too (N5)
  }
  for (const Member& member : record.members) {
    peer::Member& out = *to.add_members();
    out.set_id(member.id);
    out.set_off_site(member.role == Role::kOffsite);
    out.set_address(member.address);
  }
  to.set_copies(record.copies == Copies::kAll ? "all" : record.copies == Copies::kLocal ? "local" : "two");
  to.set_handover_target(record.handover_target);
}

Result<Record> take(const peer::Record& from) {
  if (static_cast<std::size_t>(from.members_size()) > kMembersMax || static_cast<std::size_t>(from.in_sync_size()) > kInSyncMax) {
    return Error(Errc::kProtocol, "a record of too many members");
  }
  if (from.in_sync_names_size() != 0 && from.in_sync_names_size() != from.in_sync_size()) {
    return Error(Errc::kProtocol, "a record that names not as many stores as are in sync");
  }
  Record out;
  out.epoch = from.epoch();
  out.primary = from.primary();
  out.primary_incarnation = from.primary_incarnation();
  for (int at = 0; at < from.in_sync_size(); ++at) out.in_sync.push_back({from.in_sync(at), from.in_sync_names_size() == 0 ? 0 : from.in_sync_names(at)});
  for (const peer::Member& member : from.members()) {
    out.members.push_back({member.id(), member.off_site() ? Role::kOffsite : Role::kStandby, member.address()});
  }
  if (from.copies() == "all") out.copies = Copies::kAll;
  else if (from.copies() == "local") out.copies = Copies::kLocal;
  else if (from.copies() != "two") return Error(Errc::kProtocol, "a record whose copies are neither two, all nor local");
  out.handover_target = from.handover_target();
  return out;
}

struct ToWire {
  peer::Envelope& out;

  void operator()(const Append& message) const {
    peer::Append& to = *out.mutable_append();
    to.set_epoch(message.epoch);
    to.set_incarnation(message.incarnation);
    put_entry_id(*to.mutable_previous(), message.previous);
    for (const Entry& entry : message.entries) to.add_entries(*entry.bytes);
    to.set_commit(message.commit);
    to.set_send_time(message.send_time);
  }
  void operator()(const AppendAnswer& message) const {
    peer::AppendAnswer& to = *out.mutable_append_answer();
    to.set_epoch(message.epoch);
    to.set_incarnation(message.incarnation);
    put_entry_id(*to.mutable_match(), message.match);
    for (const EntryId& sample : message.samples) put_entry_id(*to.add_samples(), sample);
    to.set_echo_time(message.echo_time);
    to.set_promised(message.promised);
    to.set_store(message.store);
  }
  void operator()(const Refusal& message) const { out.mutable_refusal()->set_promised_epoch(message.promised_epoch); }
  void operator()(const ReadIndex& message) const {
    out.mutable_read_index()->set_incarnation(message.incarnation);
    out.mutable_read_index()->set_round(message.round);
  }
  void operator()(const ReadIndexAnswer& message) const {
    out.mutable_read_index_answer()->set_incarnation(message.incarnation);
    out.mutable_read_index_answer()->set_round(message.round);
    out.mutable_read_index_answer()->set_commit(message.commit);
  }
  void operator()(const SnapshotOffer& message) const {
    out.mutable_snapshot_offer()->set_epoch(message.epoch);
    put_entry_id(*out.mutable_snapshot_offer()->mutable_entry(), message.entry);
  }
  void operator()(const Handover& message) const {
    out.mutable_handover()->mutable_record()->set_version(message.record.version);
    put(*out.mutable_handover()->mutable_record()->mutable_record(), message.record.record);
  }
  void operator()(const Resignation& message) const { out.mutable_resignation()->set_epoch(message.epoch); }
};

Result<Message> take(const peer::Append& from) {
  if (static_cast<std::size_t>(from.entries_size()) > kAppendEntriesMax) return Error(Errc::kProtocol, "an Append of too many entries");
  Append out;
  out.epoch = from.epoch();
  out.incarnation = from.incarnation();
  VEXOR_TRY(out.previous, take_entry_id(from.previous()));
  EntryId previous = out.previous;
  for (const std::string& bytes : from.entries()) {
    VEXOR_TRY(Entry entry, unpack_entry(std::make_shared<const std::string>(bytes)));
    if (entry.previous() != previous) return Error(Errc::kProtocol, "an Append of entries that do not follow each other");
    previous = entry.id;
    out.entries.push_back(std::move(entry));
  }
  out.commit = from.commit();
  out.send_time = from.send_time();
  return Message(std::move(out));
}

Result<Message> take(const peer::AppendAnswer& from) {
  if (static_cast<std::size_t>(from.samples_size()) > kSamplesMax) return Error(Errc::kProtocol, "an answer of too many samples");
  AppendAnswer out;
  out.epoch = from.epoch();
  out.incarnation = from.incarnation();
  VEXOR_TRY(out.match, take_entry_id(from.match()));
  for (const peer::EntryId& sample : from.samples()) {
    VEXOR_TRY(const EntryId id, take_entry_id(sample));
    out.samples.push_back(id);
  }
  out.echo_time = from.echo_time();
  out.promised = from.promised();
  out.store = from.store();
  return Message(std::move(out));
}

}  // namespace

peer::Envelope to_wire(const Message& message) {
  peer::Envelope out;
  std::visit(ToWire{out}, message);
  return out;
}

Result<Message> from_wire(const peer::Envelope& envelope) {
  switch (envelope.told_case()) {
    case peer::Envelope::kAppend: return take(envelope.append());
    case peer::Envelope::kAppendAnswer: return take(envelope.append_answer());
    case peer::Envelope::kRefusal: return Message(Refusal{envelope.refusal().promised_epoch()});
    case peer::Envelope::kReadIndex: return Message(ReadIndex{envelope.read_index().incarnation(), envelope.read_index().round()});
    case peer::Envelope::kReadIndexAnswer: {
      const peer::ReadIndexAnswer& from = envelope.read_index_answer();
      return Message(ReadIndexAnswer{from.incarnation(), from.round(), from.commit()});
    }
    case peer::Envelope::kSnapshotOffer: {
      VEXOR_TRY(const EntryId entry, take_entry_id(envelope.snapshot_offer().entry()));
      return Message(SnapshotOffer{envelope.snapshot_offer().epoch(), entry});
    }
    case peer::Envelope::kHandover: {
      VEXOR_TRY(Record record, take(envelope.handover().record().record()));
      return Message(Handover{{envelope.handover().record().version(), std::move(record)}});
    }
    case peer::Envelope::kResignation: return Message(Resignation{envelope.resignation().epoch()});
    case peer::Envelope::TOLD_NOT_SET: break;
  }
  return Error(Errc::kProtocol, "a message of an unknown kind");
}

std::string to_json(const Record& record) {
  peer::Record wire;
  put(wire, record);
  std::string out;
  (void)google::protobuf::util::MessageToJsonString(wire, &out);
  return out;
}

Result<Record> record_from_json(const std::string& json) {
  peer::Record wire;
  if (!google::protobuf::util::JsonStringToMessage(json, &wire).ok()) return Error(Errc::kCorrupt, "the record of the replica set is no JSON of a record");
  auto out = take(wire);
  if (out.has_error()) return Error(Errc::kCorrupt, out.error().message());
  return out;
}

}  // namespace vexor::replication
