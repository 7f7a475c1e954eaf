// upload-pack: serves fetch and clone. Protocol versions 0, 1 and 2.
// Spec: gitprotocol-v2, gitprotocol-pack, docs/protocol/README.md.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vexorstore/protocol/session.h"
#include "vexorstore/store.h"

namespace vexor::protocol {

struct UploadPackOptions {
  int version = 0;              // 0, 1 or 2: parse_protocol_version(GIT_PROTOCOL)
  bool stateless = false;       // HTTP: one request, one answer
  bool advertise_only = false;  // HTTP: info/refs
  std::string session_id;       // told to the client when not empty; printable, without spaces
  // "<id>.uri=https://..." lines of the bundle-uri command; empty: the command is not offered.
  std::vector<std::string> bundle_lines;
  // Not 0: the refs are those behind this journal record. Whoever may not see the past must not get here.
  JournalSequence as_of = 0;
};

// "version=2:..." -> 2; anything unknown -> 0.
int parse_protocol_version(std::string_view git_protocol);

// The session reads the repository as of now. Errors: kNotFound (also: objects of then are past the retention).
Result<std::unique_ptr<Session>> make_upload_pack(Store& store, const RepositoryInfo& repository,
                                                  const UploadPackOptions& options);

}  // namespace vexor::protocol
