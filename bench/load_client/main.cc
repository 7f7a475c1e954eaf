// Loads a Git server over HTTPS and prints one JSON line of figures. See bench/README.md.
#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <sys/resource.h>
#include <thread>

#include "git_client.h"

namespace {

using namespace vexor::bench;

struct Options {
  std::string url, ca, lines_file, plan_file, pack_file, path, depth, filter;
  std::vector<std::string> prefixes;
  unsigned requests = 1, connections = 1;
  bool thick = false;
};

struct Figures {
  std::vector<double> seconds, first_seconds;
  std::uint64_t received = 0, pack_bytes = 0, refs = 0;
};

std::vector<std::string> read_lines(const std::string& path) {
  std::ifstream in(path);
  if (!in) die("cannot read " + path);
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) out.push_back(line);
  }
  return out;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) die("cannot read " + path);
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

double percentile(std::vector<double> sorted, double part) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(static_cast<double>(sorted.size()) * part))];
}

void print(const char* what, Figures figures, double wall) {
  std::sort(figures.seconds.begin(), figures.seconds.end());
  std::sort(figures.first_seconds.begin(), figures.first_seconds.end());
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const double cpu = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  std::printf("{\"what\": \"%s\", \"count\": %zu, \"wall_s\": %.6f, \"per_s\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, "
              "\"bytes\": %llu, \"pack_bytes\": %llu, \"refs\": %llu, \"first_pack_ms\": %.3f, \"client_cpu_s\": %.3f}\n",
              what, figures.seconds.size(), wall, static_cast<double>(figures.seconds.size()) / wall, percentile(figures.seconds, 0.5) * 1e3,
              percentile(figures.seconds, 0.99) * 1e3, percentile(figures.seconds, 1) * 1e3, static_cast<unsigned long long>(figures.received),
              static_cast<unsigned long long>(figures.pack_bytes), static_cast<unsigned long long>(figures.refs),
              percentile(figures.first_seconds, 0.5) * 1e3, cpu);
}

// Wants of all refs (or of those under the prefixes; of HEAD alone with a depth), each id once.
std::vector<std::string> wants(const std::vector<AdvertisedRef>& refs, const Options& options) {
  std::vector<std::string> out;
  std::set<std::string_view> seen;
  for (const AdvertisedRef& ref : refs) {
    const bool asked = options.depth.empty() || ref.name == "HEAD";
    if (asked && seen.insert(ref.id).second) out.push_back("want " + ref.id);
  }
  if (out.empty()) die("no refs to clone");
  if (!options.depth.empty()) out.push_back("deepen " + options.depth);
  if (!options.filter.empty()) out.push_back("filter " + options.filter);
  return out;
}

struct PackFile {
  explicit PackFile(const std::string& path) : file(path.empty() ? nullptr : std::fopen(path.c_str(), "wb")) {
    if (!path.empty() && file == nullptr) die("cannot write " + path);
  }
  ~PackFile() {
    if (file != nullptr) std::fclose(file);
  }
  PackFile(const PackFile&) = delete;
  PackFile& operator=(const PackFile&) = delete;
  GitClient::Sink sink() const {
    if (file == nullptr) return nullptr;
    return [this](std::string_view bytes) {
      if (std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) die("cannot write the pack");
    };
  }
  std::FILE* file;
};

using Work = std::function<void(GitClient& client, Figures& figures, bool first)>;

// `work` is called options.requests times in all, on options.connections connections that are open before the clock starts.
void run(const char* what, const Options& options, const Work& work) {
  const Endpoint endpoint = parse_url(options.url);
  const auto tls = make_tls(options.ca);
  std::vector<Figures> figures(options.connections);
  std::vector<std::unique_ptr<GitClient>> clients;
  std::uint64_t handshakes = 0;
  for (unsigned i = 0; i < options.connections; ++i) {
    clients.push_back(std::make_unique<GitClient>(endpoint, tls.get()));
    clients.back()->connect();
    handshakes += clients.back()->received_bytes();
  }
  std::atomic<unsigned> next{0};
  std::vector<std::thread> threads;
  const double begun = now();
  for (unsigned i = 0; i < options.connections; ++i) {
    threads.emplace_back([&, i] {
      for (unsigned number = next++; number < options.requests; number = next++) {
        const double start = now();
        work(*clients[i], figures[i], number == 0);
        figures[i].seconds.push_back(now() - start);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double wall = now() - begun;
  Figures all;
  for (unsigned i = 0; i < options.connections; ++i) {
    all.seconds.insert(all.seconds.end(), figures[i].seconds.begin(), figures[i].seconds.end());
    all.first_seconds.insert(all.first_seconds.end(), figures[i].first_seconds.begin(), figures[i].first_seconds.end());
    all.received += clients[i]->received_bytes();
    all.pack_bytes += figures[i].pack_bytes;
    all.refs += figures[i].refs;
  }
  all.received -= handshakes;
  print(what, std::move(all), wall);
}

void add_pack(Figures& figures, const PackStats& pack, double start) {
  figures.pack_bytes += pack.bytes;
  figures.first_seconds.push_back(pack.first_byte_seconds - start);
}

void clone_all(const Options& options) {
  const PackFile file(options.pack_file);
  run("clone", options, [&](GitClient& client, Figures& figures, bool first) {
    const double start = now();
    client.capabilities();
    std::vector<AdvertisedRef> refs;
    figures.refs += client.ls_refs(options.prefixes, &refs);
    add_pack(figures, client.fetch(wants(refs, options), !options.thick, first ? file.sink() : nullptr), start);
  });
}

void fetch(const Options& options) {
  const PackFile file(options.pack_file);
  const std::vector<std::string> lines = read_lines(options.lines_file);
  run("fetch", options, [&](GitClient& client, Figures& figures, bool first) {
    const double start = now();
    add_pack(figures, client.fetch(lines, !options.thick, first ? file.sink() : nullptr), start);
  });
}

void ls_refs(const Options& options) {
  run("lsrefs", options, [&](GitClient& client, Figures& figures, bool) { figures.refs += client.ls_refs(options.prefixes, nullptr); });
}

void noop(const Options& options) {
  const std::vector<std::string> prefixes{"refs/heads/", "refs/tags/"};
  run("noop", options, [&](GitClient& client, Figures& figures, bool) {
    client.capabilities();
    figures.refs += client.ls_refs(prefixes, nullptr);
  });
}

void get(const Options& options) {
  run("get", options, [&](GitClient& client, Figures& figures, bool) { figures.pack_bytes += client.get(options.path); });
}

// A plan has one push a line: PUSHER REPOSITORY REF OLD NEW PACKFILE. Each pusher's lines run in order on a connection of its own.
void push(Options options) {
  std::map<std::string, std::vector<PushCommand>> pushers;
  const std::string base = parse_url(options.url).path;
  for (const std::string& line : read_lines(options.plan_file)) {
    std::istringstream words(line);
    std::string pusher, pack;
    PushCommand command;
    words >> pusher >> command.repository >> command.ref >> command.old_id >> command.new_id >> pack;
    if (pack.empty()) die("a line of the plan is PUSHER REPOSITORY REF OLD NEW PACKFILE");
    command.repository = base + command.repository;
    command.pack = read_file(pack);
    pushers[pusher].push_back(std::move(command));
  }
  std::vector<const std::vector<PushCommand>*> lists;
  for (const auto& [pusher, commands] : pushers) lists.push_back(&commands);
  options.connections = options.requests = static_cast<unsigned>(lists.size());
  std::atomic<unsigned> next_list{0};
  std::vector<std::vector<double>> seconds(lists.size());
  const Endpoint endpoint = parse_url(options.url);
  const auto tls = make_tls(options.ca);
  std::vector<std::unique_ptr<GitClient>> clients;
  for (std::size_t i = 0; i < lists.size(); ++i) {
    clients.push_back(std::make_unique<GitClient>(endpoint, tls.get()));
    clients.back()->connect();
  }
  std::vector<std::thread> threads;
  const double begun = now();
  for (std::size_t i = 0; i < lists.size(); ++i) {
    threads.emplace_back([&, i] {
      for (const PushCommand& command : *lists[i]) {
        const double start = now();
        clients[i]->push(command);
        seconds[i].push_back(now() - start);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Figures all;
  const double wall = now() - begun;
  for (std::size_t i = 0; i < lists.size(); ++i) {
    all.seconds.insert(all.seconds.end(), seconds[i].begin(), seconds[i].end());
    all.received += clients[i]->received_bytes();
  }
  print("push", std::move(all), wall);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Loads a Git server over HTTPS with raw smart-HTTP requests; prints one JSON line"};
  Options options;
  app.require_subcommand(1);
  const auto add = [&](const char* name, const char* text, auto work) {
    CLI::App* command = app.add_subcommand(name, text);
    command->add_option("--url", options.url, "https://[USER:PASSWORD@]HOST:PORT/PATH")->required();
    command->add_option("--ca", options.ca, "PEM file to trust")->required();
    command->callback([&options, work] { work(options); });
    return command;
  };
  const auto counts = [&](CLI::App* command) {
    command->add_option("-n,--requests", options.requests, "requests in all")->check(CLI::PositiveNumber);
    command->add_option("-c,--connections", options.connections, "keep-alive connections")->check(CLI::PositiveNumber);
    return command;
  };
  const auto packs = [&](CLI::App* command) {
    command->add_option("--pack", options.pack_file, "write the first pack to this file");
    command->add_flag("--thick", options.thick, "do not offer thin-pack");
    return counts(command);
  };
  CLI::App* made = packs(add("clone", "info/refs, ls-refs, fetch of all tips", clone_all));
  made->add_option("--prefix", options.prefixes, "clone refs with this prefix only");
  made->add_option("--depth", options.depth, "shallow clone of HEAD");
  made->add_option("--filter", options.filter, "partial clone");
  packs(add("fetch", "a fetch with the want and have lines of a file", fetch))->add_option("--lines", options.lines_file, "file")->required();
  counts(add("lsrefs", "ls-refs", ls_refs))->add_option("--prefix", options.prefixes, "ref-prefix; none: all refs");
  counts(add("noop", "what `git fetch` sends when nothing is new", noop));
  counts(add("get", "GET of a file, as a floor", get))->add_option("--path", options.path, "path with its slash")->required();
  add("push", "prepared pushes", push)->add_option("--plan", options.plan_file, "lines PUSHER REPOSITORY REF OLD NEW PACKFILE")->required();
  CLI11_PARSE(app, argc, argv);
  return 0;
}
