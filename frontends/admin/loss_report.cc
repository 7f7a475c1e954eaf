#include "admin/loss_report.h"

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>

#include "admin/time_text.h"

namespace vexor::frontend {

namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace json = boost::json;

constexpr std::chrono::seconds kWait{5};
constexpr std::uint64_t kAnswerBytesMax = 64 * 1024;

Error silent(const std::string& monitor) { return Error(Errc::kUnavailable, "the monitor of that member does not answer: " + monitor); }

Result<std::string> fetch_health(const std::string& monitor) {
  const std::size_t colon = monitor.rfind(':');
  if (colon == std::string::npos) return Error(Errc::kInvalidArgument, "not HOST:PORT: " + monitor);
  net::io_context io;
  beast::tcp_stream stream(io);
  beast::error_code failed;
  // One step after the other, each within the time left.
  const auto run = [&] {
    io.restart();
    io.run();
    return !failed;
  };
  const auto keep = [&failed](const beast::error_code& code, auto&&...) { failed = code; };
  stream.expires_after(kWait);
  const auto places = net::ip::tcp::resolver(io).resolve(monitor.substr(0, colon), monitor.substr(colon + 1), failed);
  if (failed) return silent(monitor);
  stream.async_connect(places, keep);
  if (!run()) return silent(monitor);
  http::request<http::empty_body> request{http::verb::get, "/healthz", 11};
  request.set(http::field::host, monitor);
  http::async_write(stream, request, keep);
  if (!run()) return silent(monitor);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kAnswerBytesMax);
  http::async_read(stream, buffer, parser, keep);
  if (!run()) return silent(monitor);
  return parser.get().body();
}

std::uint64_t number(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  beast::error_code failed;
  const auto out = value != nullptr ? value->to_number<std::uint64_t>(failed) : 0;
  return failed ? 0 : out;
}

}  // namespace

Result<std::string> loss_report_of(const std::string& health, std::uint64_t node) {
  const std::size_t begin = health.find('{');
  beast::error_code failed;
  const json::value parsed = begin == std::string::npos ? json::value() : json::parse(health.substr(begin, health.find('\n', begin) - begin), failed);
  if (failed || !parsed.is_object() || !parsed.get_object().contains("node")) return Error(Errc::kUnavailable, "that server is no member of a replica set, or not yet");
  const json::object& member = parsed.get_object();
  if (number(member, "node") != node) return Error(Errc::kInvalidArgument, "that is the monitor of member " + std::to_string(number(member, "node")));
  if (const json::value* role = member.if_contains("role"); role != nullptr && *role == "primary") return Error(Errc::kInvalidArgument, "that member leads already");
  const std::string who = "member " + std::to_string(node);
  const std::uint64_t appended = number(member, "appended");
  // A release before this figure says what is committed, which was compared.
  const std::uint64_t compared = std::min(appended, number(member, member.contains("compared") ? "compared" : "committed"));
  const std::uint64_t told = number(member, "told_committed");
  const auto heard = static_cast<std::int64_t>(number(member, "heard_at_ms"));
  std::string out = who + " has the journal up to record " + std::to_string(appended);
  if (const auto made = static_cast<std::int64_t>(number(member, "appended_at_ms")); made != 0) out += ", made at " + time_text(made);
  if (appended > compared) {
    out += "\nits last " + std::to_string(appended - compared) + " records were not compared with those of a primary since it was started, or since another one led, and may be of another history: "
           "count on what it has up to record " +
           std::to_string(compared);
  }
  if (heard == 0) {
    return out + "\nit has heard no primary since it was started: what was acknowledged after that record, and not yet off-site by its receipt, is lost";
  }
  out += "\nit last heard a primary at " + time_text(heard) + ", which had acknowledged up to record " + std::to_string(told);
  if (told > compared) out += std::string(appended > compared ? ": up to " : ": ") + std::to_string(told - compared) + " records are lost";
  else out += ": nothing of that is lost";
  out += "\nlost as well is what was acknowledged after that moment; its receipts said \"off-site follows\", or named fewer servers than all";
  return out + "\nwhat a store of the others has beyond it: vexorctl --data DIR journal --after " + std::to_string(compared);
}

Result<std::string> loss_report(const std::string& monitor, std::uint64_t node) {
  VEXOR_TRY(const std::string health, fetch_health(monitor));
  return loss_report_of(health, node);
}

}  // namespace vexor::frontend
