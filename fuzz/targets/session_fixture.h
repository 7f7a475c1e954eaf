// A store with one small repository (its ids are in the seeds of the corpora), and a pump.
#pragma once

#include "vexorstore/protocol/session.h"
#include "vexorstore/sys/backends.h"
#include "vexorstore/transaction.h"

namespace vexor::fuzz {

struct SessionFixture {
  SessionFixture() {
    StoreOptions options;
    options.limits.object_bytes_max = options.limits.structured_object_bytes_max = options.limits.delta_object_bytes_max = 1 << 20;
    options.limits.resolve_bytes_max = 8 << 20;
    store = Store::open(sys::make_memory_backend(), options).value();
    repository = store->create_repository("a/b", {}, {}).value();
    ObjectId parent = ObjectId::null(HashAlgorithm::kSha1);
    for (int i = 0; i < 4; ++i) {
      const auto transaction = begin_transaction(*store, repository.id, {}).value();
      const ObjectId blob = transaction->write_object(ObjectType::kBlob, "content " + std::to_string(i) + "\n").value();
      const ObjectId tree = transaction->write_object(ObjectType::kTree, std::string("100644 f\0", 9) + std::string(blob.raw())).value();
      const std::string who = "A <a@b> " + std::to_string(1'700'000'000 + i) + " +0000\n";
      const std::string commit = "tree " + tree.hex() + "\n" + (i == 0 ? "" : "parent " + parent.hex() + "\n") + "author " + who + "committer " + who + "\nm\n";
      const ObjectId tip = transaction->write_object(ObjectType::kCommit, commit).value();
      static_cast<void>(transaction->update_ref({"refs/heads/main", parent, tip}).has_value());
      static_cast<void>(transaction->commit().value());
      parent = tip;
    }
  }
  std::unique_ptr<Store> store;
  RepositoryInfo repository;
};

inline void run(protocol::Session& session, Bytes input, std::uint8_t piece_seed) {
  using protocol::Wants;
  char room[4096];
  bool told_end = false;
  while (session.wants() != Wants::kDone) {
    switch (session.wants()) {
      case Wants::kInput: {
        const Bytes piece = input.substr(0, 1 + piece_seed * 37U);
        input.remove_prefix(piece.size());
        if (!piece.empty()) session.feed(piece);
        else if (!told_end) session.end_of_input();
        else return;
        told_end = piece.empty();
        break;
      }
      case Wants::kOutput: session.drain(room); break;
      case Wants::kWork: session.run_work(); break;
      case Wants::kDone: break;
    }
  }
}

}  // namespace vexor::fuzz
