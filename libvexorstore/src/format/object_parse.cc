#include "format/object_parse.h"

#include <charconv>

namespace vexor::format {

namespace {

// The line that starts with `key` at the front of `rest`, which then begins behind it.
std::optional<Bytes> take_line(Bytes& rest, Bytes key) {
  if (!rest.starts_with(key)) return std::nullopt;
  const std::size_t end = rest.find('\n');
  const Bytes line = rest.substr(key.size(), end == Bytes::npos ? Bytes::npos : end - key.size());
  rest.remove_prefix(end == Bytes::npos ? rest.size() : end + 1);
  return line;
}

std::int64_t time_of(Bytes ident) {
  const std::size_t close = ident.rfind('>');
  if (close == Bytes::npos) return 0;
  std::size_t at = close + 1;
  while (at < ident.size() && ident[at] == ' ') ++at;
  std::int64_t out = 0;
  const auto done = std::from_chars(ident.data() + at, ident.data() + ident.size(), out);
  return done.ec == std::errc() ? out : 0;
}

}  // namespace

Result<CommitView> parse_commit(Bytes content, HashAlgorithm algorithm) {
  CommitView view;
  Bytes rest = content;
  const auto tree = take_line(rest, "tree ");
  if (!tree) return Error(Errc::kCorrupt, "commit: no tree");
  VEXOR_TRY(view.tree, ObjectId::from_hex(algorithm, *tree));
  while (const auto parent = take_line(rest, "parent ")) {
    VEXOR_TRY(ObjectId id, ObjectId::from_hex(algorithm, *parent));
    view.parents.push_back(id);
  }
  while (!rest.empty() && rest[0] != '\n') {
    if (const auto committer = take_line(rest, "committer ")) {
      view.commit_time = time_of(*committer);
      break;
    }
    take_line(rest, "");
  }
  return view;
}

Result<TagView> parse_tag(Bytes content, HashAlgorithm algorithm) {
  TagView view;
  Bytes rest = content;
  const auto object = take_line(rest, "object ");
  if (!object) return Error(Errc::kCorrupt, "tag: no object");
  VEXOR_TRY(view.target, ObjectId::from_hex(algorithm, *object));
  const auto type = take_line(rest, "type ");
  const auto parsed = type ? parse_object_type(*type) : std::nullopt;
  if (!parsed) return Error(Errc::kCorrupt, "tag: no type");
  view.target_type = *parsed;
  view.name = take_line(rest, "tag ").value_or(Bytes());
  return view;
}

}  // namespace vexor::format
