#include "protocol/ref_listing.h"

#include <algorithm>

#include "format/pkt_line.h"

namespace vexor::protocol {

namespace {

struct Shown {
  std::string name;
  ObjectId id;
  std::string symref_target;
  std::optional<ObjectId> peeled;
};

Result<std::optional<Shown>> show(const store::RepositorySnapshot& repository, const store::NamedRef& ref) {
  if (store::is_hidden(repository.row, ref.name)) return std::optional<Shown>();
  Shown shown{ref.name, ref.row.id, ref.row.symref_target, ref.row.peeled};
  if (!ref.row.symref_target.empty()) {
    VEXOR_TRY(const auto target, store::read_ref(repository, ref.row.symref_target));
    if (!target || store::is_hidden(repository.row, target->name)) return std::optional<Shown>();
    shown.id = target->row.id;
    shown.peeled = target->row.peeled;
  }
  return std::optional<Shown>(std::move(shown));
}

}  // namespace

Result<void> parse_ls_refs_argument(Bytes text, const Limits& limits, LsRefs& request) {
  constexpr Bytes kPrefix = "ref-prefix ";
  if (text == "symrefs") request.symrefs = true;
  else if (text == "peel") request.peel = true;
  else if (text == "unborn") request.unborn = true;
  else if (text.starts_with(kPrefix)) {
    if (request.prefixes.size() >= limits.ref_prefixes_max) return Error(Errc::kLimitExceeded, "too many ref-prefix lines");
    request.prefixes.emplace_back(text.substr(kPrefix.size()));
  } else {
    return Error(Errc::kProtocol, "unexpected line in ls-refs");
  }
  return success();
}

Result<void> list_refs(const store::RepositorySnapshot& repository, LsRefs request,
                       const std::function<void(Bytes)>& emit) {
  std::vector<std::string>& prefixes = request.prefixes;
  if (prefixes.empty()) prefixes.emplace_back();
  std::sort(prefixes.begin(), prefixes.end());
  const std::string* covered = nullptr;
  for (const std::string& prefix : prefixes) {
    if (covered != nullptr && prefix.starts_with(*covered)) continue;
    covered = &prefix;
    VEXOR_TRY(const auto refs, store::read_refs(repository, prefix));
    for (const store::NamedRef& ref : refs) {
      VEXOR_TRY(const auto shown, show(repository, ref));
      if (!shown) {
        const bool is_unborn = ref.name == "HEAD" && !ref.row.symref_target.empty() && request.unborn;
        if (is_unborn && !store::is_hidden(repository.row, "HEAD")) {
          emit("unborn HEAD symref-target:" + ref.row.symref_target + "\n");
        }
        continue;
      }
      std::string line = shown->id.hex() + " " + shown->name;
      if (request.symrefs && !shown->symref_target.empty()) line += " symref-target:" + shown->symref_target;
      if (request.peel && shown->peeled) line += " peeled:" + shown->peeled->hex();
      emit(line + "\n");
    }
  }
  return success();
}

Result<void> advertise_refs(const store::RepositorySnapshot& repository, std::string capabilities, std::string& out) {
  VEXOR_TRY(const auto refs, store::read_refs(repository));
  std::vector<Shown> shown_refs;
  for (const store::NamedRef& ref : refs) {
    VEXOR_TRY(auto shown, show(repository, ref));
    if (!shown) continue;
    if (!shown->symref_target.empty()) capabilities += " symref=" + shown->name + ":" + shown->symref_target;
    shown_refs.push_back(std::move(*shown));
  }
  const std::string first_tail = std::string(1, '\0') + capabilities + "\n";
  for (const Shown& shown : shown_refs) {
    const bool is_first = &shown == &shown_refs.front();
    format::append_pkt_line(out, shown.id.hex() + " " + shown.name + (is_first ? first_tail : "\n"));
    if (shown.peeled) format::append_pkt_line(out, shown.peeled->hex() + " " + shown.name + "^{}\n");
  }
  if (shown_refs.empty()) {
    format::append_pkt_line(out, ObjectId::null(repository.row.algorithm).hex() + " capabilities^{}" + first_tail);
  }
  format::append_flush(out);
  return success();
}

}  // namespace vexor::protocol
