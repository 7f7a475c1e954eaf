#include "vexorstore/git2/bridge.h"

#include <cstring>
#include <fnmatch.h>
#include <git2/sys/odb_backend.h>
#include <git2/sys/refdb_backend.h>
#include <git2/sys/refs.h>
#include <git2/sys/repository.h>
#include <map>

#include "vexorstore/snapshot.h"
#include "vexorstore/transaction.h"

namespace vexor::git2 {

namespace {

constexpr HashAlgorithm kAlgorithm = HashAlgorithm::kSha1;

ObjectId from_oid(const git_oid* oid) {
  return ObjectId::from_raw(kAlgorithm, Bytes(static_cast<const char*>(static_cast<const void*>(oid->id)), GIT_OID_RAWSZ));
}
git_oid to_oid(const ObjectId& id) {
  git_oid out;
  std::memcpy(out.id, id.raw().data(), GIT_OID_RAWSZ);
  return out;
}
git_object_t to_type(ObjectType type) { return static_cast<git_object_t>(type); }

int fail(const Error& error) {
  git_error_set_str(GIT_ERROR_ODB, error.message().c_str());
  switch (error.code()) {
    case Errc::kNotFound: return GIT_ENOTFOUND;
    case Errc::kConflict: return GIT_EMODIFIED;
    default: return GIT_ERROR;
  }
}
int unsupported(const char* what) {
  git_error_set_str(GIT_ERROR_REFERENCE, what);
  return GIT_ERROR;
}

// What the two backends of one repository share.
class Bridge {
 public:
  Bridge(Store& store, RepositoryId id, const Actor& actor) : store_(store), id_(id), actor_(actor) {}

  struct Pending {
    ObjectType type;
    std::string content;
  };

  Result<void> refresh() {
    VEXOR_TRY(snapshot_, open_snapshot(store_, id_));
    return success();
  }
  Snapshot& snapshot() { return *snapshot_; }
  const std::map<ObjectId, Pending>& pending() const { return pending_; }

  Result<void> add(const ObjectId& id, ObjectType type, Bytes content) {
    const Limits limits;
    if (pending_bytes_ + content.size() > limits.ingest_memory_bytes) {
      return Error(Errc::kLimitExceeded, "too many objects wait for a reference");
    }
    if (pending_.emplace(id, Pending{type, std::string(content)}).second) pending_bytes_ += content.size();
    return success();
  }

  // Writes the waiting objects and one reference. A refused commit keeps the objects.
  Result<void> commit(const std::string& name, const ObjectId& old_id, const ObjectId& new_id) {
    VEXOR_TRY(const auto transaction, begin_transaction(store_, id_, actor_));
    if (!new_id.is_null()) {
      for (const auto& [id, object] : pending_) {
        VEXOR_TRY(transaction->write_object(object.type, object.content));
      }
    }
    VEXOR_TRY(transaction->update_ref({name, old_id, new_id}));
    VEXOR_TRY(transaction->commit());
    if (!new_id.is_null()) {
      pending_.clear();
      pending_bytes_ = 0;
    }
    return refresh();
  }

  Result<void> set_head(const std::string& target) {
    RepositoryInfo info = snapshot_->repository();
    info.default_branch = target;
    VEXOR_TRY(store_.update_repository(info, actor_));
    return refresh();
  }

 private:
  Store& store_;
  RepositoryId id_;
  Actor actor_;
  std::unique_ptr<Snapshot> snapshot_;
  std::map<ObjectId, Pending> pending_;
  std::uint64_t pending_bytes_ = 0;
};
using BridgePtr = std::shared_ptr<Bridge>;

struct OdbBackend : git_odb_backend {
  BridgePtr bridge;
};
struct RefdbBackend : git_refdb_backend {
  BridgePtr bridge;
};
Bridge& of(git_odb_backend* backend) { return *static_cast<OdbBackend*>(backend)->bridge; }
Bridge& of(git_refdb_backend* backend) { return *static_cast<RefdbBackend*>(backend)->bridge; }

// ---- objects

int odb_read(void** data, std::size_t* size, git_object_t* type, git_odb_backend* backend, const git_oid* oid) {
  Bridge& bridge = of(backend);
  const ObjectId id = from_oid(oid);
  std::string content;
  if (const auto found = bridge.pending().find(id); found != bridge.pending().end()) {
    content = found->second.content;
    *type = to_type(found->second.type);
  } else {
    const auto header = bridge.snapshot().find_object(id);
    if (header.has_error()) return fail(header.error());
    if (!header.value()) return GIT_ENOTFOUND;
    auto read = bridge.snapshot().read_object(id);
    if (read.has_error()) return fail(read.error());
    content = std::move(read).value();
    *type = to_type(header.value()->type);
  }
  *data = git_odb_backend_data_alloc(backend, content.size() + 1);
  if (*data == nullptr) return GIT_ERROR;
  std::memcpy(*data, content.c_str(), content.size() + 1);
  *size = content.size();
  return 0;
}

int odb_read_header(std::size_t* size, git_object_t* type, git_odb_backend* backend, const git_oid* oid) {
  Bridge& bridge = of(backend);
  const ObjectId id = from_oid(oid);
  if (const auto found = bridge.pending().find(id); found != bridge.pending().end()) {
    *size = found->second.content.size();
    *type = to_type(found->second.type);
    return 0;
  }
  const auto header = bridge.snapshot().find_object(id);
  if (header.has_error()) return fail(header.error());
  if (!header.value()) return GIT_ENOTFOUND;
  *size = static_cast<std::size_t>(header.value()->bytes);
  *type = to_type(header.value()->type);
  return 0;
}

int odb_exists(git_odb_backend* backend, const git_oid* oid) {
  std::size_t size = 0;
  git_object_t type = GIT_OBJECT_ANY;
  return odb_read_header(&size, &type, backend, oid) == 0 ? 1 : 0;
}

int odb_exists_prefix(git_oid* out, git_odb_backend* backend, const git_oid* prefix, std::size_t digits) {
  Bridge& bridge = of(backend);
  const std::string hex = from_oid(prefix).hex().substr(0, digits);
  auto found = bridge.snapshot().find_prefix(hex, 2);
  if (found.has_error()) return fail(found.error());
  std::vector<ObjectId> ids = std::move(found).value();
  for (const auto& [id, object] : bridge.pending()) {
    if (id.hex().starts_with(hex) && (ids.empty() || ids.front() != id)) ids.push_back(id);
  }
  if (ids.empty()) return GIT_ENOTFOUND;
  if (ids.size() > 1) return GIT_EAMBIGUOUS;
  *out = to_oid(ids.front());
  return 0;
}

int odb_read_prefix(git_oid* out, void** data, std::size_t* size, git_object_t* type, git_odb_backend* backend,
                    const git_oid* prefix, std::size_t digits) {
  const int found = odb_exists_prefix(out, backend, prefix, digits);
  return found != 0 ? found : odb_read(data, size, type, backend, out);
}

int odb_write(git_odb_backend* backend, const git_oid* oid, const void* data, std::size_t size, git_object_t type) {
  const auto done = of(backend).add(from_oid(oid), static_cast<ObjectType>(type), Bytes(static_cast<const char*>(data), size));
  return done.has_error() ? fail(done.error()) : 0;
}

int odb_refresh(git_odb_backend* backend) {
  const auto done = of(backend).refresh();
  return done.has_error() ? fail(done.error()) : 0;
}

int odb_foreach(git_odb_backend* backend, git_odb_foreach_cb callback, void* payload) {
  Bridge& bridge = of(backend);
  int stopped = 0;
  for (const auto& [id, object] : bridge.pending()) {
    const git_oid oid = to_oid(id);
    stopped = callback(&oid, payload);
    if (stopped != 0) return stopped;
  }
  const auto done = bridge.snapshot().each_object([&](const ObjectId& id, const ObjectHeader&) -> Result<void> {
    const git_oid oid = to_oid(id);
    stopped = callback(&oid, payload);
    if (stopped != 0) return Error(Errc::kCancelled, "stopped by the caller");
    return success();
  });
  if (stopped != 0) return stopped;
  return done.has_error() ? fail(done.error()) : 0;
}

int odb_freshen(git_odb_backend* backend, const git_oid* oid) { return odb_exists(backend, oid) == 1 ? 0 : GIT_ENOTFOUND; }
void odb_free(git_odb_backend* backend) { delete static_cast<OdbBackend*>(backend); }

// ---- references

git_reference* to_reference(const RefInfo& info) {
  if (!info.symref_target.empty()) return git_reference__alloc_symbolic(info.name.c_str(), info.symref_target.c_str());
  const git_oid oid = to_oid(info.id);
  const git_oid peeled = info.peeled ? to_oid(*info.peeled) : git_oid{};
  return git_reference__alloc(info.name.c_str(), &oid, info.peeled ? &peeled : nullptr);
}

int refdb_exists(int* exists, git_refdb_backend* backend, const char* name) {
  const auto found = of(backend).snapshot().find_ref(name);
  if (found.has_error()) return fail(found.error());
  *exists = found.value() ? 1 : 0;
  return 0;
}

int refdb_lookup(git_reference** out, git_refdb_backend* backend, const char* name) {
  const auto found = of(backend).snapshot().find_ref(name);
  if (found.has_error()) return fail(found.error());
  if (!found.value()) {
    git_error_set_str(GIT_ERROR_REFERENCE, "reference not found");
    return GIT_ENOTFOUND;
  }
  *out = to_reference(*found.value());
  return *out != nullptr ? 0 : GIT_ERROR;
}

struct RefIterator : git_reference_iterator {
  std::vector<RefInfo> refs;
  std::size_t at = 0;
};

int iterator_next(git_reference** out, git_reference_iterator* iterator) {
  auto& self = *static_cast<RefIterator*>(iterator);
  if (self.at == self.refs.size()) return GIT_ITEROVER;
  *out = to_reference(self.refs[self.at++]);
  return *out != nullptr ? 0 : GIT_ERROR;
}

int iterator_next_name(const char** out, git_reference_iterator* iterator) {
  auto& self = *static_cast<RefIterator*>(iterator);
  if (self.at == self.refs.size()) return GIT_ITEROVER;
  *out = self.refs[self.at++].name.c_str();
  return 0;
}

void iterator_free(git_reference_iterator* iterator) { delete static_cast<RefIterator*>(iterator); }

int refdb_iterator(git_reference_iterator** out, git_refdb_backend* backend, const char* glob) {
  auto refs = of(backend).snapshot().refs("refs/");
  if (refs.has_error()) return fail(refs.error());
  auto iterator = std::make_unique<RefIterator>();
  iterator->refs = std::move(refs).value();
  if (glob != nullptr) std::erase_if(iterator->refs, [glob](const RefInfo& info) { return fnmatch(glob, info.name.c_str(), 0) != 0; });
  iterator->next = iterator_next;
  iterator->next_name = iterator_next_name;
  iterator->free = iterator_free;
  *out = iterator.release();
  return 0;
}

int refdb_write(git_refdb_backend* backend, const git_reference* reference, int force, const git_signature*,
                const char*, const git_oid* old, const char*) {
  Bridge& bridge = of(backend);
  const std::string name = git_reference_name(reference);
  if (git_reference_type(reference) == GIT_REFERENCE_SYMBOLIC) {
    if (name != "HEAD") return unsupported("only HEAD can be a symbolic reference");
    const auto done = bridge.set_head(git_reference_symbolic_target(reference));
    return done.has_error() ? fail(done.error()) : 0;
  }
  const auto now = bridge.snapshot().find_ref(name);
  if (now.has_error()) return fail(now.error());
  if (now.value() && force == 0 && old == nullptr) {
    git_error_set_str(GIT_ERROR_REFERENCE, "the reference exists already");
    return GIT_EEXISTS;
  }
  ObjectId old_id = now.value() ? now.value()->id : ObjectId::null(kAlgorithm);
  if (old != nullptr) old_id = from_oid(old);
  const auto done = bridge.commit(name, old_id, from_oid(git_reference_target(reference)));
  return done.has_error() ? fail(done.error()) : 0;
}

int refdb_rename(git_reference**, git_refdb_backend*, const char*, const char*, int, const git_signature*, const char*) {
  return unsupported("references cannot be renamed; create the new one and delete the old");
}

int refdb_del(git_refdb_backend* backend, const char* name, const git_oid* old, const char*) {
  Bridge& bridge = of(backend);
  const auto now = bridge.snapshot().find_ref(name);
  if (now.has_error()) return fail(now.error());
  if (!now.value()) return GIT_ENOTFOUND;
  const auto done = bridge.commit(name, old != nullptr ? from_oid(old) : now.value()->id, ObjectId::null(kAlgorithm));
  return done.has_error() ? fail(done.error()) : 0;
}

int refdb_has_log(git_refdb_backend*, const char*) { return 0; }
int refdb_ensure_log(git_refdb_backend*, const char*) { return 0; }
int refdb_reflog_read(git_reflog**, git_refdb_backend*, const char*) {
  git_error_set_str(GIT_ERROR_REFERENCE, "reflogs are not shown through the bridge");
  return GIT_ENOTFOUND;
}
int refdb_reflog_write(git_refdb_backend*, git_reflog*) { return unsupported("the store writes the reflog itself"); }
int refdb_reflog_rename(git_refdb_backend*, const char*, const char*) { return unsupported("the store keeps the reflog itself"); }
int refdb_reflog_delete(git_refdb_backend*, const char*) { return unsupported("the store keeps the reflog itself"); }
void refdb_free(git_refdb_backend* backend) { delete static_cast<RefdbBackend*>(backend); }

template <class T, void (*Free)(T*)>
struct Freeing {
  void operator()(T* object) const { Free(object); }
};

Error last_error() {
  const git_error* error = git_error_last();
  return Error(Errc::kIo, error != nullptr ? error->message : "libgit2 failed");
}

}  // namespace

Result<RepositoryPtr> open_repository(Store& store, RepositoryId id, const Actor& actor) {
  const auto bridge = std::make_shared<Bridge>(store, id, actor);
  VEXOR_TRY(bridge->refresh());
  if (bridge->snapshot().repository().algorithm != kAlgorithm) {
    return Error(Errc::kInvalidArgument, "libgit2 reads SHA-1 repositories only");
  }
  git_odb* odb_made = nullptr;
  if (git_odb_new(&odb_made) != 0) return last_error();
  const std::unique_ptr<git_odb, Freeing<git_odb, git_odb_free>> odb(odb_made);
  auto objects = std::make_unique<OdbBackend>();
  git_odb_init_backend(objects.get(), GIT_ODB_BACKEND_VERSION);
  objects->bridge = bridge;
  objects->read = odb_read;
  objects->read_prefix = odb_read_prefix;
  objects->read_header = odb_read_header;
  objects->write = odb_write;
  objects->exists = odb_exists;
  objects->exists_prefix = odb_exists_prefix;
  objects->refresh = odb_refresh;
  objects->foreach = odb_foreach;
  objects->freshen = odb_freshen;
  objects->free = odb_free;
  if (git_odb_add_backend(odb.get(), objects.get(), 1) != 0) return last_error();
  objects.release();  // the odb owns it now

  git_repository* repository_made = nullptr;
  if (git_repository_wrap_odb(&repository_made, odb.get()) != 0) return last_error();
  RepositoryPtr repository(repository_made);
  git_config* config_made = nullptr;
  if (git_config_new(&config_made) != 0) return last_error();
  const std::unique_ptr<git_config, Freeing<git_config, git_config_free>> config(config_made);
  git_repository_set_config(repository.get(), config.get());
  git_refdb* refdb_made = nullptr;
  if (git_refdb_new(&refdb_made, repository.get()) != 0) return last_error();
  const std::unique_ptr<git_refdb, Freeing<git_refdb, git_refdb_free>> refdb(refdb_made);
  auto refs = std::make_unique<RefdbBackend>();
  git_refdb_init_backend(refs.get(), GIT_REFDB_BACKEND_VERSION);
  refs->bridge = bridge;
  refs->exists = refdb_exists;
  refs->lookup = refdb_lookup;
  refs->iterator = refdb_iterator;
  refs->write = refdb_write;
  refs->rename = refdb_rename;
  refs->del = refdb_del;
  refs->has_log = refdb_has_log;
  refs->ensure_log = refdb_ensure_log;
  refs->reflog_read = refdb_reflog_read;
  refs->reflog_write = refdb_reflog_write;
  refs->reflog_rename = refdb_reflog_rename;
  refs->reflog_delete = refdb_reflog_delete;
  refs->free = refdb_free;
  if (git_refdb_set_backend(refdb.get(), refs.get()) != 0) return last_error();
  refs.release();  // the refdb owns it now
  git_repository_set_refdb(repository.get(), refdb.get());
  return repository;
}

}  // namespace vexor::git2
