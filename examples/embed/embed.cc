// A program of its own that serves Git from a vexorstore: one connection on standard input and
// output, as git's "ext::" transport or an ssh forced command would start it.
//
//   embed DIRECTORY git-upload-pack|git-receive-pack OWNER/NAME
//
//   git -c protocol.ext.allow=always clone "ext::embed /path/to/store %S demo/hello"
#include <array>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>

#include "vexorstore/protocol/receive_pack.h"
#include "vexorstore/protocol/upload_pack.h"
#include "vexorstore/sys/backends.h"
#include "vexorstore/transaction.h"

using namespace vexor;

namespace {

// A new repository with one commit, written without any git.
Result<RepositoryInfo> create(Store& store, const std::string& name) {
  const Actor actor;
  VEXOR_TRY(const RepositoryInfo repository, store.create_repository(name, {}, actor));
  VEXOR_TRY(const auto transaction, begin_transaction(store, repository.id, actor));
  VEXOR_TRY(const ObjectId blob, transaction->write_object(ObjectType::kBlob, "Hello from an embedded store.\n"));
  VEXOR_TRY(const ObjectId tree, transaction->write_object(ObjectType::kTree, std::string("100644 README\0", 14) + std::string(blob.raw())));
  const std::string who = "Embed <embed@example.com> 1700000000 +0000\n";
  VEXOR_TRY(const ObjectId commit, transaction->write_object(ObjectType::kCommit, "tree " + tree.hex() + "\nauthor " + who + "committer " + who + "\nFirst commit\n"));
  VEXOR_TRY(transaction->update_ref({"refs/heads/main", ObjectId::null(HashAlgorithm::kSha1), commit}));
  VEXOR_TRY(transaction->commit());
  return repository;
}

Result<void> serve(protocol::Session& session) {
  std::array<char, 65536> room;
  for (;;) {
    switch (session.wants()) {
      case protocol::Wants::kInput: {
        const ssize_t count = read(STDIN_FILENO, room.data(), room.size());
        if (count > 0) session.feed(Bytes(room.data(), static_cast<std::size_t>(count)));
        else session.end_of_input();
        break;
      }
      case protocol::Wants::kOutput: {
        const std::size_t count = session.drain(room);
        for (std::size_t done = 0; done < count;) {
          const ssize_t step = write(STDOUT_FILENO, room.data() + done, count - done);
          if (step <= 0) return Error(Errc::kCancelled, "the client went away");
          done += static_cast<std::size_t>(step);
        }
        break;
      }
      case protocol::Wants::kWork: session.run_work(); break;
      case protocol::Wants::kDone: return session.failure() != nullptr ? Result<void>(session.failure()->clone()) : success();
    }
  }
}

Result<void> run(const std::string& directory, const std::string& service, const std::string& name) {
  VEXOR_TRY(auto backend, sys::open_rocksdb_backend(directory));
  VEXOR_TRY(const auto store, Store::open(std::move(backend), StoreOptions{}));
  VEXOR_TRY(auto repository, store->find_repository(name));
  if (!repository) {
    VEXOR_TRY(repository, create(*store, name));
  }
  if (service == "git-upload-pack") {
    protocol::UploadPackOptions options;
    const char* wish = std::getenv("GIT_PROTOCOL");
    options.version = protocol::parse_protocol_version(wish != nullptr ? wish : "");
    VEXOR_TRY(const auto session, protocol::make_upload_pack(*store, *repository, options));
    return serve(*session);
  }
  VEXOR_TRY(const auto session, protocol::make_receive_pack(*store, *repository, {}));
  return serve(*session);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: embed DIRECTORY SERVICE OWNER/NAME\n"), 2;
  const Result<void> done = run(argv[1], argv[2], argv[3]);
  if (done.has_error()) std::fprintf(stderr, "embed: %s\n", done.error().message().c_str());
  return done.has_error() ? 1 : 0;
}
