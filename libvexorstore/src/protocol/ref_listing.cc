#include "protocol/ref_listing.h"

#include <algorithm>

#include "base/check.h"
#include "format/pkt_line.h"

namespace vexor::protocol {

namespace {

constexpr std::size_t kSymrefBytesMax = 16 * 1024;  // all capabilities are in one packet
constexpr Bytes kSymref = " symref-target:";
constexpr Bytes kPeeled = " peeled:";

struct Line {
  Bytes whole;   // with its length and line end
  Bytes id;
  Bytes name;
  Bytes symref;  // empty: none
  Bytes peeled;  // empty: none
};

// Takes the first line off `rest`. Names hold no blank, so the parts are where the blanks are.
Line take_line(Bytes& rest) {
  const auto step = format::decode_pkt_line(rest);
  VEXOR_CHECK(step.has_value() && step.value().complete);
  Line line;
  line.whole = rest.substr(0, step.value().consumed);
  rest.remove_prefix(step.value().consumed);
  Bytes text = step.value().line.data;
  text.remove_suffix(1);
  const std::size_t blank = text.find(' ');
  line.id = text.substr(0, blank);
  text.remove_prefix(blank + 1);
  line.name = text.substr(0, text.find(' '));
  text.remove_prefix(line.name.size());
  if (text.starts_with(kSymref)) {
    text.remove_prefix(kSymref.size());
    line.symref = text.substr(0, text.find(' '));
    text.remove_prefix(line.symref.size());
  }
  if (text.starts_with(kPeeled)) line.peeled = text.substr(kPeeled.size());
  return line;
}

std::string joined(std::initializer_list<Bytes> parts) {
  std::string out;
  for (const Bytes part : parts) out.append(part);
  return out;
}

}  // namespace

Result<void> parse_ls_refs_argument(Bytes text, const Limits& limits, LsRefs& request) {
  constexpr Bytes kPrefix = "ref-prefix ";
  if (text == "symrefs") request.symrefs = true;
  else if (text == "peel") request.peel = true;
  else if (text == "unborn") request.unborn = true;
  else if (text.starts_with(kPrefix)) {
    const Bytes prefix = text.substr(kPrefix.size());
    if (request.prefixes.size() >= limits.ref_prefixes_max) return Error(Errc::kLimitExceeded, "too many ref-prefix lines");
    request.prefix_bytes += prefix.size();
    if (request.prefix_bytes > limits.ref_prefix_bytes_max) return Error(Errc::kLimitExceeded, "too long ref-prefix lines");
    request.prefixes.emplace_back(prefix);
  } else {
    return Error(Errc::kProtocol, "unexpected line in ls-refs");
  }
  return success();
}

RefListing::RefListing(store::RefTablePtr table, LsRefs request) : table_(std::move(table)), request_(std::move(request)) {
  std::vector<std::string>& prefixes = request_.prefixes;
  if (prefixes.empty()) prefixes.emplace_back();
  std::sort(prefixes.begin(), prefixes.end());
  std::vector<std::string> apart;  // a prefix of another covers it
  for (std::string& prefix : prefixes) {
    if (apart.empty() || !prefix.starts_with(apart.back())) apart.push_back(std::move(prefix));
  }
  prefixes = std::move(apart);
  begin_prefix();
}

// The last block that begins at or before the prefix may hold the first name.
void RefListing::begin_prefix() {
  if (done()) return;
  const std::string& prefix = request_.prefixes[prefix_];
  const auto behind = std::upper_bound(table_->blocks.begin(), table_->blocks.end(), prefix,
                                       [](const std::string& name, const auto& block) { return name < block->first; });
  block_ = static_cast<std::size_t>(behind - table_->blocks.begin()) - 1;
}

void RefListing::next(std::string& out, std::size_t bytes) {
  const std::size_t start = out.size();
  if (request_.unborn && !table_->unborn_head.empty() && std::any_of(request_.prefixes.begin(), request_.prefixes.end(), [](const std::string& prefix) { return Bytes("HEAD").starts_with(prefix); })) {
    request_.unborn = false;  // once
    format::append_pkt_line(out, joined({"unborn HEAD symref-target:", table_->unborn_head, "\n"}));
  }
  while (!done() && out.size() - start < bytes) {
    const bool goes_on = append_block(out);
    if (goes_on && ++block_ < table_->blocks.size()) continue;
    ++prefix_;
    begin_prefix();
  }
}

bool RefListing::append_block(std::string& out) const {
  const store::RefBlock& block = *table_->blocks[block_];
  const std::string& prefix = request_.prefixes[prefix_];
  const bool as_stored = request_.symrefs && request_.peel;
  // All names of a block are between its first and the next one's.
  const bool all_match = prefix.empty() || (block.first.starts_with(prefix) && block_ + 1 < table_->blocks.size() &&
                                            table_->blocks[block_ + 1]->first.starts_with(prefix));
  if (as_stored && all_match) {
    out.append(block.lines);
    return true;
  }
  for (Bytes rest = block.lines; !rest.empty();) {
    const Line line = take_line(rest);
    if (!line.name.starts_with(prefix)) {
      if (line.name > Bytes(prefix)) return false;
      continue;
    }
    if (as_stored) {
      out.append(line.whole);
      continue;
    }
    std::string text = joined({line.id, " ", line.name});
    if (request_.symrefs && !line.symref.empty()) text.append(kSymref).append(line.symref);
    if (request_.peel && !line.peeled.empty()) text.append(kPeeled).append(line.peeled);
    text.push_back('\n');
    format::append_pkt_line(out, text);
  }
  return true;
}

RefAdvertisement::RefAdvertisement(store::RefTablePtr table, HashAlgorithm algorithm, To to, std::string capabilities)
    : table_(std::move(table)), algorithm_(algorithm), to_(to), capabilities_(std::move(capabilities)) {
  if (to_ == To::kFetch) add_symrefs();
  capabilities_ = std::string(1, '\0') + capabilities_ + "\n";
}

void RefAdvertisement::add_symrefs() {
  for (const auto& block : table_->blocks) {
    if (block->targets.empty()) continue;
    for (Bytes rest = block->lines; !rest.empty();) {
      const Line line = take_line(rest);
      if (!line.symref.empty() && capabilities_.size() < kSymrefBytesMax) capabilities_ += joined({" symref=", line.name, ":", line.symref});
    }
  }
}

void RefAdvertisement::append_block(const store::RefBlock& block, std::string& out) {
  if (block.is_plain && capabilities_.empty()) {
    out.append(block.lines);
    return;
  }
  for (Bytes rest = block.lines; !rest.empty();) {
    const Line line = take_line(rest);
    if (to_ == To::kUpdate && !line.symref.empty()) continue;
    format::append_pkt_line(out, joined({line.id, " ", line.name, capabilities_.empty() ? Bytes("\n") : Bytes(capabilities_)}));
    capabilities_.clear();
    if (to_ == To::kFetch && !line.peeled.empty()) format::append_pkt_line(out, joined({line.peeled, " ", line.name, "^{}\n"}));
  }
}

void RefAdvertisement::next(std::string& out, std::size_t bytes) {
  const std::size_t start = out.size();
  while (block_ < table_->blocks.size() && out.size() - start < bytes) append_block(*table_->blocks[block_++], out);
  if (block_ < table_->blocks.size()) return;
  if (!capabilities_.empty()) format::append_pkt_line(out, ObjectId::null(algorithm_).hex() + " capabilities^{}" + capabilities_);
  format::append_flush(out);
  done_ = true;
}

}  // namespace vexor::protocol
