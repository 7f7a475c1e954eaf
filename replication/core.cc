#include "replication/core.h"

#include "replication/check.h"

#include <algorithm>

namespace vexor::replication {

Core::Core(Identity self_in, const Options& options_in, const Faults& faults_in, Log& log_in,
           Sequence applied_in)
    : self(self_in),
      options(options_in),
      faults(faults_in),
      log(log_in, faults_in.count_unsynced),
      commit(applied_in),
      applied(applied_in),
      apply_asked(applied_in) {
  VEXOR_CHECK(options.valid());
  VEXOR_CHECK(self.id != 0 && self.incarnation != 0);
  VEXOR_CHECK(applied >= log.log().base().sequence && applied <= log.last().sequence);
}

void Core::commit_to(Sequence sequence) {
  if (sequence <= commit) return;
  VEXOR_CHECK(sequence <= log.last().sequence);
  commit = sequence;
  apply_durable();
}

void Core::apply_durable() {
  const Sequence ready = std::min(commit, log.durable());
  if (ready <= apply_asked) return;
  apply_asked = ready;
  outputs.push_back(Apply{ready});
}

}  // namespace vexor::replication
