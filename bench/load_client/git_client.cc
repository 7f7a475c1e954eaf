#include "git_client.h"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace vexor::bench {

namespace {

void append_line(std::string& out, std::string_view line) {
  static constexpr char kHex[] = "0123456789abcdef";
  const std::size_t size = line.size() + 4;
  for (const unsigned shift : {12U, 8U, 4U, 0U}) out.push_back(kHex[(size >> shift) & 15U]);
  out.append(line);
}

std::string_view chomp(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  return line;
}

}  // namespace

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string_view GitClient::need(std::size_t count) {
  if (end_ - at_ < count) {
    std::copy(room_.begin() + static_cast<std::ptrdiff_t>(at_), room_.begin() + static_cast<std::ptrdiff_t>(end_), room_.begin());
    end_ -= at_;
    at_ = 0;
    while (end_ < count) {
      const std::size_t got = http_.read_body(std::span(room_).subspan(end_));
      if (got == 0) {
        if (end_ == 0) return {};
        die("the answer ended inside a packet");
      }
      end_ += got;
    }
  }
  const std::string_view out(room_.data() + at_, count);
  at_ += count;
  return out;
}

GitClient::Packet GitClient::next(std::string_view& data) {
  const std::string_view digits = need(4);
  if (digits.empty()) return Packet::kEnd;
  unsigned size = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + 4, size, 16);
  if (failed != std::errc() || end != digits.data() + 4 || size == 3) die("not a packet: " + std::string(digits));
  if (size < 4) return size == 0 ? Packet::kFlush : Packet::kDelim;
  data = size == 4 ? std::string_view() : need(size - 4);
  if (data.starts_with("ERR ")) die("the server says: " + std::string(data));
  return Packet::kData;
}

void GitClient::drain() {
  at_ = end_ = 0;
  while (http_.read_body(room_) != 0) {
  }
}

void GitClient::post(const std::string& path, const char* service, const std::string& body) {
  at_ = end_ = 0;
  const std::string name(service);
  http_.request("POST", path + "/" + name, "Content-Type: application/x-" + name + "-request\r\nAccept: application/x-" + name + "-result\r\n" +
                (name == "git-upload-pack" ? "Git-Protocol: version=2\r\n" : ""), body);
}

void GitClient::capabilities() {
  at_ = end_ = 0;
  http_.request("GET", endpoint_.path + "/info/refs?service=git-upload-pack", "Git-Protocol: version=2\r\n", "");
  std::string_view line;
  for (Packet kind = next(line); kind != Packet::kEnd; kind = next(line)) {
    if (kind == Packet::kData && line.starts_with("ls-refs=")) unborn_ = line.find("unborn") != std::string_view::npos;
  }
}

std::size_t GitClient::ls_refs(const std::vector<std::string>& prefixes, std::vector<AdvertisedRef>* out) {
  std::string body;
  append_line(body, "command=ls-refs\n");
  append_line(body, "agent=git/2.39.5");
  append_line(body, "object-format=sha1");
  body += "0001";
  append_line(body, "peel\n");
  append_line(body, "symrefs\n");
  if (unborn_) append_line(body, "unborn\n");
  for (const std::string& prefix : prefixes) append_line(body, "ref-prefix " + prefix + "\n");
  body += "0000";
  post(endpoint_.path, "git-upload-pack", body);
  std::size_t count = 0;
  std::string_view line;
  for (Packet kind = next(line); kind != Packet::kEnd; kind = next(line)) {
    if (kind != Packet::kData) continue;
    ++count;
    line = chomp(line);
    const std::size_t blank = line.find(' ');
    if (out == nullptr || blank == std::string_view::npos || line.starts_with("unborn")) continue;
    const std::string_view rest = line.substr(blank + 1);
    out->push_back({std::string(line.substr(0, blank)), std::string(rest.substr(0, rest.find(' ')))});
  }
  return count;
}

PackStats GitClient::fetch(const std::vector<std::string>& lines, bool thin, const Sink& sink) {
  std::string body;
  append_line(body, "command=fetch");
  append_line(body, "agent=git/2.39.5");
  append_line(body, "object-format=sha1");
  body += "0001";
  if (thin) append_line(body, "thin-pack");
  for (const char* word : {"no-progress", "include-tag", "ofs-delta"}) append_line(body, word);
  for (const std::string& line : lines) append_line(body, line + "\n");
  append_line(body, "done\n");
  body += "0000";
  post(endpoint_.path, "git-upload-pack", body);
  std::string_view line;
  Packet kind = next(line);
  while (kind != Packet::kEnd && !(kind == Packet::kData && chomp(line) == "packfile")) kind = next(line);
  if (kind == Packet::kEnd) die("no pack came");
  PackStats out;
  for (kind = next(line); kind != Packet::kFlush; kind = next(line)) {
    if (kind != Packet::kData || line.empty()) die("the pack ended early");
    if (line[0] == 3) die("the server says: " + std::string(line.substr(1)));
    if (line[0] != 1) continue;
    if (out.bytes == 0) out.first_byte_seconds = now();
    out.bytes += line.size() - 1;
    if (sink) sink(line.substr(1));
  }
  drain();
  return out;
}

void GitClient::push(const PushCommand& command) {
  http_.request("GET", command.repository + "/info/refs?service=git-receive-pack", "", "");
  drain();
  std::string body;
  append_line(body, command.old_id + " " + command.new_id + " " + command.ref + std::string(1, '\0') +
                        " report-status side-band-64k object-format=sha1 agent=git/2.39.5");
  body += "0000" + command.pack;
  post(command.repository, "git-receive-pack", body);
  std::string report, all;
  std::string_view line;
  for (Packet kind = next(line); kind == Packet::kData; kind = next(line)) {
    all += line;
    if (line.starts_with('\1')) report += line.substr(1);
  }
  drain();
  if (report.find("unpack ok") == std::string::npos || report.find("ok " + command.ref) == std::string::npos) {
    die("push of " + command.ref + " to " + command.repository + " was answered " + all);
  }
}

std::uint64_t GitClient::get(std::string_view path) {
  http_.request("GET", path, "", "");
  std::uint64_t total = 0;
  while (const std::size_t count = http_.read_body(room_)) total += count;
  return total;
}

}  // namespace vexor::bench
