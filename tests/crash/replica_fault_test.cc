// Three stores that replicate to each other by the rules, lose power, change the primary, rewrite their
// extents, forget by record and drop bytes at random. VEXOR_REPLICA_SEEDS: how many runs (default 20), VEXOR_FAULT_SEED: where to begin.
#include <atomic>
#include <map>
#include <random>

#include "store/forgotten.h"
#include "support/durable_backend.h"
#include "support/leftovers.h"
#include "support/replica_pair.h"
#include "support/upkeep.h"

namespace vexor {
namespace {

using namespace test;

constexpr std::size_t kServers = 3;
constexpr int kSteps = 60;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

struct Server {
  std::unique_ptr<sys::StorageBackend> durable = sys::make_memory_backend();
  std::unique_ptr<sys::StorageBackend> live;
  std::unique_ptr<DurableBackend> power;
  std::unique_ptr<Store> store;
  std::unique_ptr<ReplicaLog> log;
  std::unique_ptr<CollectingSink> sink;

  void start() {
    live = copy_of(*durable);
    power = std::make_unique<DurableBackend>(*live, *durable);
    store = open(*power);
    log = std::move(join_replica_set(*store)).value();
    sink = std::make_unique<CollectingSink>();
  }
  void stop() {
    log.reset();
    store.reset();
  }
};

struct Pusher {
  std::thread thread;
  std::atomic<bool> is_done = false;
  bool is_good = false;
  std::string ref;
  ObjectId tip;
};

class Cluster {
 public:
  // Every fourth run has many pushes that travel in pieces.
  explicit Cluster(std::uint64_t seed) : random_(seed), large_(seed % 4 == 0 ? 3 : 30) {
    for (Server& server : servers_) server.start();
    take_over(0);
    push_change([](Store& store) { return store.create_repository("a/b", {}, {}).has_value(); });
    commit();
  }
  ~Cluster() {
    for (Server& server : servers_) {
      if (server.log) (void)server.log->follow();
    }
    for (auto& pusher : pushers_) pusher->thread.join();
  }

  void step() {
    switch (pick(10)) {
      case 0: return crash(pick(kServers));
      case 1: return take_over_somewhere();
      case 2: return upkeep(pick(kServers));
      case 3: return catch_up(pick(kServers));
      case 4: return commit();
      case 5: return forget(pick(2) == 0 ? primary_ : pick(kServers));
      default: return push();
    }
  }

  void settle_and_compare() {
    const auto is_waiting = [](const auto& pusher) { return !pusher->is_done; };
    while (std::any_of(pushers_.begin(), pushers_.end(), is_waiting)) commit();
    for (auto& pusher : pushers_) pusher->thread.join();
    collect();
    pushers_.clear();
    for (std::size_t i = 0; i < kServers; ++i) {
      while (i != primary_ && matched_[i] < primary().log->last().sequence) catch_up(i);
    }
    commit();
    const RepositoryId id = primary().store->find_repository("a/b").value()->id;
    const auto expected = refs_of(primary(), id);
    for (const auto& [name, tip] : acknowledged_) {
      const auto found = expected.find(name);
      const ObjectId now = found == expected.end() ? ObjectId::null(kAlgorithm) : found->second;
      // A later push whose outcome nobody was told may have moved the branch on, or deleted it.
      const std::vector<ObjectId>& tips = tried_.at(name);
      const auto from = std::find(tips.begin(), tips.end(), tip);
      ASSERT_TRUE(std::find(from, tips.end(), now) != tips.end()) << name << " was acknowledged and is lost";
    }
    const auto objects = visible_objects(*primary().store, id);
    forgotten_ = store::read_forgetting(*primary().live->snapshot().value(), id).value().objects;
    for (Server& server : servers_) {
      MaintenanceOptions options = sweep();
      options.policy->forgets_in_set = false;
      const auto dropped = run_upkeep(*server.store, options);
      ASSERT_TRUE(dropped.has_value()) << dropped.error().message();
      ASSERT_EQ(server.log->applied(), primary().log->last().sequence);
      ASSERT_EQ(refs_of(server, id), expected);
      ASSERT_EQ(visible_objects(*server.store, id), objects);
      expect_sound(*server.store, id);
      const auto followed = server.log->follow();
      ASSERT_TRUE(followed.has_value()) << followed.error().message();
      ASSERT_EQ(Leftovers(server.live->snapshot().value()).run().value(), 0U) << "rows without a record";
    }
  }
  std::size_t acknowledged() const { return acknowledged_.size(); }
  std::size_t staged() const { return staged_; }
  std::uint64_t forgotten() const { return forgotten_; }
  std::size_t copies() const { return copies_; }

 private:
  std::size_t pick(std::size_t below) { return static_cast<std::size_t>(random_() % below); }
  Server& primary() { return servers_[primary_]; }

  static std::map<std::string, ObjectId> refs_of(Server& server, RepositoryId id) {
    std::map<std::string, ObjectId> out;
    const auto refs = server.store->list_refs(id).value();
    for (const RefInfo& ref : refs) out.emplace(ref.name, ref.id);
    return out;
  }

  template <class F>
  void push_change(F change, const std::string& ref = {}, const ObjectId& tip = {}) {
    auto pusher = std::make_unique<Pusher>();
    Pusher& p = *pusher;
    p.ref = ref;
    p.tip = tip;
    Server& server = primary();
    const std::uint64_t before = server.log->last().sequence;
    p.thread = std::thread([&p, &server, change] {
      p.is_good = change(*server.store);
      p.is_done = true;
    });
    pushers_.push_back(std::move(pusher));
    // Appended, refused, or waiting for what is appended to be applied.
    for (int i = 0; i < 200 && !p.is_done && server.log->last().sequence == before; ++i) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }

  void push() {
    const std::string ref = pick(3) == 0 ? "refs/heads/main" : "refs/heads/b" + std::to_string(++branches_);
    const RepositoryId id = 1;
    if (!primary().store->find_repository("a/b").value()) return;
    const auto refs = refs_of(primary(), id);
    if (!refs.empty() && pick(3) == 0) return leave(*std::next(refs.begin(), static_cast<std::ptrdiff_t>(pick(refs.size()))));
    const auto old = refs.find(ref);
    std::optional<ObjectId> parent;
    if (!refs.empty()) {
      const auto any = std::next(refs.begin(), static_cast<std::ptrdiff_t>(pick(refs.size())));
      parent = old != refs.end() ? old->second : any->second;
    }
    const Push push = make_push(parent, static_cast<int>(random_() % 1'000'000'000), pick(large_) == 0 ? 4100 : 1 + static_cast<int>(pick(5)), ref,
                                old != refs.end() ? old->second : ObjectId::null(kAlgorithm));
    tried_[ref].push_back(push.tip);
    push_change([request = push.request](Store& store) { return run_push(store, "a/b", request); }, ref, push.tip);
    if (pick(2) == 0) commit();
  }

  // Deletes the branch, or forces it to a history that has to do with no other; now and then one that was left before comes again.
  void leave(const std::pair<const std::string, ObjectId>& old) {
    Push push{ObjectId::null(kAlgorithm), delete_request(old.second, old.first)};
    if (pick(2) == 0) push = make_push(std::nullopt, static_cast<int>(pick(20)), 3, old.first, old.second);
    if (push.tip == old.second) return;
    tried_[old.first].push_back(push.tip);
    push_change([request = push.request](Store& store) { return run_push(store, "a/b", request); }, old.first, push.tip);
    if (pick(2) == 0) commit();
  }

  // In the place of a store whose log cannot go on: what it needs was forgotten.
  void take_copy(std::size_t index) {
    const std::lock_guard lock(lives_);
    Server& server = servers_[index];
    server.stop();
    server.durable = copy_of(*primary().durable);
    server.start();
    ++copies_;
  }

  // Takes the primary's log to the server; sometimes not all of it.
  void catch_up(std::size_t index) {
    if (index == primary_) return;
    Server& from = primary();
    Server& to = servers_[index];
    std::uint64_t common = std::min(from.log->last().sequence, to.log->last().sequence);
    while (from.log->position(common).value().hash != to.log->position(common).value().hash) --common;
    ASSERT_GE(common, to.log->applied()) << "what was applied differs";
    if (to.log->last().sequence > common) {
      const auto cut = to.log->cut(common);
      ASSERT_TRUE(cut.has_value()) << cut.error().message();
    }
    const std::uint64_t last = from.log->last().sequence;
    for (std::uint64_t next = common + 1; next <= last; ++next) {
      const auto entry = from.log->read(next);
      if (entry.has_error() && entry.error().code() == Errc::kNotFound) {
        take_copy(index);
        return catch_up(index);
      }
      ASSERT_TRUE(entry.has_value()) << entry.error().message();
      if (entry.value().rows_apart && pick(4) == 0) {
        ship_rows(*from.log, *to.log, entry.value());  // in vain
        return;
      }
      if (entry.value().rows_apart && to.log->claim_rows(entry.value().record)) {
        ++staged_;
        const auto appended = to.log->append({entry.value()});
        ASSERT_TRUE(appended.has_value()) << appended.error().message();
      } else {
        ship(*from.log, *to.log, entry.value());
      }
      matched_[index] = next;
    }
    matched_[index] = last;
  }

  // Commits what two servers have, and tells everybody who can know.
  void commit() {
    const std::size_t helper = (primary_ + 1 + pick(kServers - 1)) % kServers;
    catch_up(helper);
    if (testing::Test::HasFatalFailure()) return;
    const std::uint64_t before = committed_;
    committed_ = std::max(committed_, matched_[helper]);
    committed_hash_ = primary().log->position(committed_).value().hash;
    for (std::size_t i = 0; i < kServers; ++i) {
      const std::uint64_t known = i == primary_ ? committed_ : std::min(committed_, matched_[i]);
      if (known > servers_[i].log->applied()) {
        const auto applied = servers_[i].log->apply(known);
        ASSERT_TRUE(applied.has_value()) << applied.error().message();
      }
    }
    for (std::uint64_t sequence = before + 1; sequence <= committed_; ++sequence) primary().log->settle({sequence, 2, 3, false, false});
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    collect();
  }

  void collect() {
    for (auto& pusher : pushers_) {
      if (pusher->is_done && pusher->is_good && !pusher->ref.empty()) {
        // Of several pushes to one branch the last one counts; they are answered in order.
        acknowledged_[pusher->ref] = pusher->tip;
        pusher->ref.clear();
      }
    }
  }

  // The rows of a large push go to some servers before its record, by the thread that pushes.
  std::unique_ptr<StagedCopies> stage(Server& from, const std::string& range) {
    const std::lock_guard lock(lives_);
    std::size_t salt = std::hash<std::string>()(range);
    for (Server& to : servers_) {
      if (&to == &from || !to.log || ++salt % 3 == 0) continue;
      const LogPosition last = to.log->last();
      if (last.sequence > from.log->last().sequence || from.log->position(last.sequence).value().hash != last.hash) continue;  // to be cut off
      const auto reader = from.log->read_rows_of(range);
      auto writer = to.log->write_rows(range);
      if (reader.has_error() || writer.has_error()) continue;
      bool good = true;
      for (;;) {
        const auto piece = reader.value()->next();
        good = good && piece.has_value() && (piece.value().empty() || writer.value()->add(piece.value()).has_value());
        if (!good || piece.value().empty()) break;
      }
      if (good) (void)writer.value()->finish();
    }
    return std::make_unique<Held>(*this, range);
  }
  class Held final : public StagedCopies {
   public:
    Held(Cluster& cluster, std::string range) : cluster_(cluster), range_(std::move(range)) {}
    ~Held() override {
      const std::lock_guard lock(cluster_.lives_);
      for (Server& server : cluster_.servers_) {
        if (server.log) (void)server.log->drop_rows(range_);
      }
    }

   private:
    Cluster& cluster_;
    std::string range_;
  };

  bool may_lead(std::size_t index) {
    const auto here = servers_[index].log->position(committed_);
    return here.has_value() && (committed_ == 0 || here.value().hash == committed_hash_);
  }

  void take_over_somewhere() {
    const std::size_t index = pick(kServers);
    if (may_lead(index)) take_over(index);
  }

  void take_over(std::size_t index) {
    for (Server& server : servers_) {
      const auto done = server.log->follow();
      ASSERT_TRUE(done.has_value()) << done.error().message();
    }
    for (auto& pusher : pushers_) pusher->thread.join();
    collect();
    pushers_.clear();
    primary_ = index;
    std::fill(matched_.begin(), matched_.end(), 0);
    Server& server = primary();
    server.sink = std::make_unique<CollectingSink>();
    server.sink->on_stage = [this, &server](const std::string& range) { return stage(server, range); };
    const auto done = server.log->lead(++epoch_, *server.sink);
    ASSERT_TRUE(done.has_value()) << done.error().message();
  }

  void crash(std::size_t index) {
    Server& server = servers_[index];
    server.power->cut_power();
    if (index == primary_) {
      (void)server.log->follow();  // frees those who wait
      for (auto& pusher : pushers_) pusher->thread.join();
      collect();
      pushers_.clear();
    }
    {
      const std::lock_guard lock(lives_);
      server.stop();
      server.start();
    }
    matched_[index] = 0;
    if (index != primary_) return;
    std::size_t next = pick(kServers);
    while (!may_lead(next)) next = (next + 1) % kServers;
    take_over(next);
  }

  void upkeep(std::size_t index) {
    constexpr MaintenanceTask kTasks[] = {MaintenanceTask::kMerge, MaintenanceTask::kRedelta, MaintenanceTask::kFreeze, MaintenanceTask::kThaw};
    const MaintenanceTask task = kTasks[pick(4)];
    const auto done = run_upkeep(*servers_[index].store, only(task));
    if (done.has_error()) EXPECT_EQ(done.error().code(), Errc::kConflict) << done.error().message();
  }

  static MaintenanceOptions sweep() {
    MaintenanceOptions options = only(MaintenanceTask::kSweep);
    options.policy->forgets_in_set = true;
    return options;
  }
  // The primary's pass waits for its records; the others drop bytes.
  void forget(std::size_t index) {
    if (index != primary_) {
      const auto done = run_upkeep(*servers_[index].store, sweep());
      if (done.has_error()) EXPECT_EQ(done.error().code(), Errc::kConflict) << done.error().message();
      return;
    }
    push_change([](Store& store) { return run_upkeep(store, sweep(), 4096).has_value(); });
    for (std::size_t commits = pick(6); commits > 0 && !testing::Test::HasFatalFailure(); --commits) commit();
  }

  std::mutex lives_;  // held while servers stop, and while rows go ahead
  std::size_t staged_ = 0;
  std::uint64_t forgotten_ = 0;  // when it is over
  std::size_t copies_ = 0;
  std::mt19937_64 random_;
  std::size_t large_;  // one push of so many is large
  std::array<Server, kServers> servers_;
  std::array<std::uint64_t, kServers> matched_{};  // compared with the primary's log in this epoch
  std::size_t primary_ = 0;
  std::uint64_t epoch_ = 0;
  std::uint64_t committed_ = 0;
  std::string committed_hash_;
  int branches_ = 0;
  std::vector<std::unique_ptr<Pusher>> pushers_;
  std::map<std::string, ObjectId> acknowledged_;
  std::map<std::string, std::vector<ObjectId>> tried_;
};

TEST(ReplicaFaults, members_agree_and_no_acknowledged_push_is_lost) {
  const std::uint64_t seeds = number_from("VEXOR_REPLICA_SEEDS", 20);
  const std::uint64_t first = number_from("VEXOR_FAULT_SEED", 1);
  std::size_t acknowledged = 0;
  std::size_t staged = 0;
  std::uint64_t forgotten = 0;
  std::size_t copies = 0;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Cluster cluster(seed);
    for (int i = 0; i < kSteps; ++i) {
      cluster.step();
      if (HasFatalFailure()) return;
    }
    cluster.settle_and_compare();
    if (HasFatalFailure() || HasNonfatalFailure()) return;
    acknowledged += cluster.acknowledged();
    staged += cluster.staged();
    forgotten += cluster.forgotten();
    copies += cluster.copies();
  }
  std::printf("%llu runs, %zu branches acknowledged, none lost; %zu records found their rows ahead, %llu objects forgotten, %zu copies taken\n",
              static_cast<unsigned long long>(seeds), acknowledged, staged, static_cast<unsigned long long>(forgotten), copies);
  if (seeds >= 20) EXPECT_GT(staged, 0U);
  if (seeds >= 20) EXPECT_GT(forgotten, 0U);
}

}  // namespace
}  // namespace vexor
