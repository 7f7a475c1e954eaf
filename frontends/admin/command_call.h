// A command at work: its request, key by key, and what it works on. Shared by the files that implement commands.
#pragma once

#include <set>

#include "admin/commands.h"

namespace vexor::frontend {

// The keys of a request, each taken once; what is left over is a mistake.
class Arguments {
 public:
  explicit Arguments(const json::object& request) : request_(request) { taken_.insert("op"); }

  Result<std::string> text(const char* key) {
    VEXOR_TRY(auto value, optional_text(key));
    if (!value) return Error(Errc::kInvalidArgument, std::string("'") + key + "' is missing");
    return std::move(*value);
  }
  Result<std::optional<std::string>> optional_text(const char* key) {
    const json::value* value = take(key);
    if (value == nullptr || value->is_null()) return std::optional<std::string>();
    if (!value->is_string()) return Error(Errc::kInvalidArgument, std::string("'") + key + "' must be a text");
    return std::optional<std::string>(std::string(value->get_string()));
  }
  Result<std::optional<bool>> flag(const char* key) {
    const json::value* value = take(key);
    if (value == nullptr || value->is_null()) return std::optional<bool>();
    if (!value->is_bool()) return Error(Errc::kInvalidArgument, std::string("'") + key + "' must be true or false");
    return std::optional<bool>(value->get_bool());
  }
  Result<std::optional<std::uint64_t>> number(const char* key) {
    const json::value* value = take(key);
    if (value == nullptr || value->is_null()) return std::optional<std::uint64_t>();
    boost::system::error_code failed;
    const auto out = value->to_number<std::uint64_t>(failed);
    if (failed) return Error(Errc::kInvalidArgument, std::string("'") + key + "' must be a number");
    return std::optional<std::uint64_t>(out);
  }
  Result<std::optional<std::vector<std::string>>> list(const char* key) {
    const json::value* value = take(key);
    if (value == nullptr || value->is_null()) return std::optional<std::vector<std::string>>();
    std::vector<std::string> out;
    if (!value->is_array()) return Error(Errc::kInvalidArgument, std::string("'") + key + "' must be a list");
    for (const json::value& item : value->get_array()) {
      if (!item.is_string()) return Error(Errc::kInvalidArgument, std::string("'") + key + "' must be a list of texts");
      out.emplace_back(item.get_string());
    }
    return std::optional<std::vector<std::string>>(std::move(out));
  }
  Result<void> end() const {
    for (const auto& item : request_) {
      if (!taken_.contains(std::string(item.key()))) return Error(Errc::kInvalidArgument, "unknown key '" + std::string(item.key()) + "'");
    }
    return success();
  }

 private:
  const json::value* take(const char* key) {
    taken_.insert(key);
    return request_.if_contains(key);
  }
  const json::object& request_;
  std::set<std::string> taken_;
};

struct Call {
  Store& store;
  Arguments& args;
  const Actor& actor;
  const ProgressSink& progress;
  Receipt receipt{};  // of what was changed; the answer has it
};

inline json::object message(const std::string& text) { return {{"message", text}}; }

inline Result<RepositoryInfo> find(Call& call, const std::string& name) {
  VEXOR_TRY(auto info, call.store.find_repository(name));
  if (!info) return Error(Errc::kNotFound, name + ": no such repository");
  return std::move(*info);
}

}  // namespace vexor::frontend
