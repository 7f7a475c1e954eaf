#include "admin/drill_command.h"

#include "vexorstore/sys/backends.h"

namespace vexor::frontend {

namespace {

// Gone with everything in it when the drill ends, whichever way.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  ~ScratchDirectory() {
    std::error_code ignored;
    if (is_made_) std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  Result<void> make() {
    std::error_code failed;
    is_made_ = std::filesystem::create_directory(path_, failed);
    if (is_made_) return success();
    return Error(Errc::kInvalidArgument, failed ? "the scratch directory cannot be made" : "the scratch directory exists already");
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  bool is_made_ = false;
};

Result<std::unique_ptr<Store>> open_in(const ScratchDirectory& scratch, const char* name) {
  VEXOR_TRY(auto backend, sys::open_rocksdb_backend(scratch.path() / name));
  StoreOptions options;
  options.scratch_directory = scratch.path();
  return Store::open(std::move(backend), options);
}

std::string line_of(const DrillItem& item) {
  const std::string when = item.as_of == 0 ? "now" : "as of " + std::to_string(item.as_of);
  switch (item.outcome) {
    case DrillOutcome::kPastRetention: return "gone   " + item.name + ", " + when + ": past the retention";
    case DrillOutcome::kDamaged: return "FAILED " + item.name + ", " + when + ": " + item.problem;
    case DrillOutcome::kWhole: break;
  }
  return "ok     " + item.name + ", " + when + ": " + std::to_string(item.refs) + " refs, " + std::to_string(item.objects) + " objects, " + std::to_string(item.bytes) + " bytes";
}

}  // namespace

Result<DrillReport> archive_drill(CtlClient& client, const DrillArguments& args, const std::function<void(const std::string&)>& print) {
  ScratchDirectory scratch(std::filesystem::absolute(args.scratch));
  VEXOR_TRY(scratch.make());
  VEXOR_TRY(client.run({{"op", "checkpoint"}, {"directory", (scratch.path() / "checkpoint").string()}}, nullptr));
  VEXOR_TRY(const auto source, open_in(scratch, "checkpoint"));
  VEXOR_TRY(const auto target, open_in(scratch, "restored"));
  return drill(*source, *target, args.options, [&](const DrillItem& item) { print(line_of(item)); });
}

}  // namespace vexor::frontend
