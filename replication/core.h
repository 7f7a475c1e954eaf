// What the parts of a node share: who it is, what it knows, and its outputs.
#pragma once

#include "replication/durable_log.h"
#include "replication/options.h"
#include "replication/outputs.h"
#include "replication/record_change.h"

#include <optional>
#include <utility>
#include <vector>

namespace vexor::replication {

struct Identity {
  NodeId id = 0;
  Incarnation incarnation = 0;
  StoreName store = 0;  // N1; 0: it has none, as in tests
};

struct Core {
  Core(Identity self_in, const Options& options_in, const Faults& faults_in, Log& log_in,
       Sequence applied_in);

  void send(NodeId to, Message message) { outputs.push_back(Send{to, std::move(message)}); }
  // Commits are facts: they never go back. Tells the driver what to apply (A5).
  void commit_to(Sequence sequence);
  void apply_durable();
  void alarm(AlarmKind kind, EntryId entry) { outputs.push_back(Alarm{kind, entry}); }
  // N2: does the entry stand for that store?
  bool stands_for(const InSync& entry, StoreName store) const { return entry.names(store) || faults.ignore_names; }
  bool is_in_sync_itself(const Record& of) const {
    const InSync* entry = of.find_in_sync(self.id);
    return entry != nullptr && stands_for(*entry, self.store);
  }

  Identity self;
  Options options;
  Faults faults;
  DurableLog log;
  Millis now = 0;
  std::optional<VersionedRecord> record;  // the newest seen
  RecordChange change;
  Sequence commit;   // all up to it are committed
  Sequence applied;  // told by the driver
  Sequence apply_asked;
  bool damaged = false;  // S11
  std::vector<Output> outputs;
};

}  // namespace vexor::replication
