// Store: reading objects. Lives here because it needs visibility, which is this room's.
#include "pack/reachability.h"

namespace vexor {

Result<std::string> Store::read_object(RepositoryId repository, const ObjectId& id, ObjectType* type) const {
  VEXOR_TRY(const auto now, store::open_repository_snapshot(*core_, repository));
  if (id.algorithm() != now.row.algorithm) return Error(Errc::kInvalidArgument, "object id of another object format");
  pack::ObjectReader reader(now.snapshot, now.row.pool, now.row.algorithm, core_->options.limits);
  VEXOR_TRY(const auto number, reader.find(id));
  if (number) {
    VEXOR_TRY(const pack::SetPtr visible, pack::visible_set(*core_, now, reader));
    if (visible->contains(*number)) {
      VEXOR_TRY(const pack::StoredEntry entry, reader.entry(*number));
      VEXOR_TRY(const auto content, reader.read(*number));
      if (type != nullptr) *type = entry.object.type;
      return *content;
    }
  }
  return Error(Errc::kNotFound, "no such object");
}

}  // namespace vexor
