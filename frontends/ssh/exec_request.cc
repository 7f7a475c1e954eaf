#include "ssh/exec_request.h"

namespace vexor::frontend {

namespace {

// One shell word: 'single quotes' and \-escapes, as Git clients write them. nullopt: malformed.
std::optional<std::string> unquote(std::string_view text) {
  std::string out;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\'') {
      quoted = !quoted;
    } else if (c == '\\' && !quoted) {
      if (++i == text.size()) return std::nullopt;
      out += text[i];
    } else if (c == ' ' && !quoted) {
      return std::nullopt;  // a second word
    } else {
      out += c;
    }
  }
  if (quoted) return std::nullopt;
  return out;
}

}  // namespace

std::optional<GitRequest> parse_exec_request(std::string_view command) {
  GitRequest request;
  if (command.starts_with("git ")) command.remove_prefix(4);
  else if (command.starts_with("git-")) command.remove_prefix(4);
  else return std::nullopt;
  if (command.starts_with("upload-pack ")) {
    command.remove_prefix(12);
  } else if (command.starts_with("receive-pack ")) {
    command.remove_prefix(13);
    request.command = GitCommand::kReceivePack;
  } else {
    return std::nullopt;
  }
  auto path = unquote(command);
  if (!path) return std::nullopt;
  if (path->starts_with("/")) path->erase(0, 1);
  if (path->ends_with("/")) path->pop_back();
  if (path->ends_with(".git")) path->resize(path->size() - 4);
  request.repository = std::move(*path);
  return request;
}

}  // namespace vexor::frontend
