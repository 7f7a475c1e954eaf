// What a host is asked before a push is stored, and what sessions offer as keep-alives.
#include "support/push_builder.h"
#include "support/session_run.h"
#include "vexorstore/protocol/upload_pack.h"

namespace vexor {
namespace {

using namespace test;
using protocol::PushRequest;
using protocol::Wants;

class PushHook : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store->create_repository("a/b", {}, {}).has_value());
    first = make_push(std::nullopt, 1, 3, "refs/heads/main", none);
    options.stateless = true;
    options.actor = {7, "ann"};
  }
  // Like make_push, with capabilities and push options.
  std::string request(const std::string& capabilities, const std::vector<std::string>& given) {
    const Push plain = make_push(std::nullopt, 1, 3, "refs/heads/main", none);
    std::string out;
    format::append_pkt_line(out, none.hex() + " " + plain.tip.hex() + " refs/heads/main" + std::string(1, '\0') + " " + capabilities);
    format::append_flush(out);
    for (const std::string& option : given) format::append_pkt_line(out, option);
    if (capabilities.find("push-options") != std::string::npos) format::append_flush(out);
    return out + plain.request.substr(plain.request.find("PACK"));
  }
  std::string push(const std::string& text) {
    const auto session = protocol::make_receive_pack(*store, *store->find_repository("a/b").value(), options).value();
    return run_session(*session, text);
  }

  const ObjectId none = ObjectId::null(kAlgorithm);
  std::unique_ptr<sys::StorageBackend> memory = sys::make_memory_backend();
  std::unique_ptr<Store> store = open(*memory);
  protocol::ReceivePackOptions options;
  Push first;
};

TEST_F(PushHook, is_told_everything_and_options_come_as_they_were_sent) {
  const std::vector<std::string> sent = {"ci.skip", "", "a=b;c=d\ne", "$(id) `id` '\"\\ %s {0}", "\xFF\x80\x01 octets", "two\n\n"};
  std::vector<PushRequest> asked;
  std::uint64_t sequence = 0;
  options.before_commit = [&](const PushRequest& push) -> Result<void> {
    asked.push_back(push);
    EXPECT_EQ(store->last_sequence(), sequence);  // nothing is stored yet
    return success();
  };
  sequence = store->last_sequence();
  EXPECT_NE(push(request("report-status atomic push-options", sent)).find("ok refs/heads/main"), std::string::npos);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].repository_name, "a/b");
  EXPECT_EQ(asked[0].repository, store->find_repository("a/b").value()->id);
  EXPECT_EQ(asked[0].actor.name, "ann");
  EXPECT_EQ(asked[0].actor.account, 7U);
  EXPECT_TRUE(asked[0].atomic);
  ASSERT_EQ(asked[0].updates.size(), 1U);
  EXPECT_EQ(asked[0].updates[0].name, "refs/heads/main");
  EXPECT_TRUE(asked[0].updates[0].old_id.is_null());
  EXPECT_EQ(asked[0].updates[0].new_id, first.tip);
  const std::vector<std::string> got = {"ci.skip", "", "a=b;c=d\ne", "$(id) `id` '\"\\ %s {0}", "\xFF\x80\x01 octets", "two\n"};
  EXPECT_EQ(asked[0].options, got);
}

TEST_F(PushHook, its_refusal_reaches_the_client_and_nothing_is_stored) {
  options.before_commit = [](const PushRequest& push) -> Result<void> {
    return Error(Errc::kRefused, push.options.empty() ? "name a ticket with -o" : "no");
  };
  const auto bytes = memory->approximate_bytes(sys::Family::kExtents);
  const auto sequence = store->last_sequence();
  const std::string answer = push(request("report-status", {}));
  EXPECT_NE(answer.find("ng refs/heads/main name a ticket with -o"), std::string::npos) << answer;
  EXPECT_EQ(store->last_sequence(), sequence);
  EXPECT_EQ(memory->approximate_bytes(sys::Family::kExtents), bytes);
  options.before_commit = [](const PushRequest&) -> Result<void> { return Error(Errc::kIo, "the host's own trouble"); };
  const std::string internal = push(request("report-status", {}));
  EXPECT_NE(internal.find("internal error"), std::string::npos);
  EXPECT_EQ(internal.find("trouble"), std::string::npos);
}

TEST_F(PushHook, is_not_asked_for_packs_that_are_refused_anyway) {
  unsigned asked = 0;
  options.before_commit = [&](const PushRequest&) -> Result<void> {
    ++asked;
    return success();
  };
  std::string damaged = request("report-status", {});
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  EXPECT_NE(push(damaged).find("ng "), std::string::npos);
  EXPECT_EQ(asked, 0U);
  EXPECT_NE(push(request("report-status", {})).find("ok refs/heads/main"), std::string::npos);
  EXPECT_EQ(asked, 1U);
}

TEST_F(PushHook, too_many_options_and_too_long_ones_are_refused) {
  EXPECT_NE(push(request("report-status push-options", std::vector<std::string>(65, "x"))).find("too many or too long push options"), std::string::npos);
  EXPECT_NE(push(request("report-status push-options", {std::string(4097, 'x')})).find("too many or too long push options"), std::string::npos);
  EXPECT_NE(push(request("report-status push-options", std::vector<std::string>(64, std::string(4096, 'x')))).find("ok refs/heads/main"), std::string::npos);
}

// Runs a session with a keep-alive before each piece of work that allows one, and returns the output and how many went out.
std::pair<std::string, unsigned> run_with_keep_alives(protocol::Session& session, const std::string& input) {
  std::string output;
  unsigned sent = 0;
  std::size_t fed = 0;
  char room[65536];
  while (session.wants() != Wants::kDone) {
    if (session.wants() == Wants::kInput) {
      if (fed == input.size()) session.end_of_input();
      else fed += session.feed(Bytes(input).substr(fed, 4096));
    } else if (session.wants() == Wants::kOutput) {
      output.append(room, session.drain(room));
    } else {
      const Bytes packet = session.keep_alive();
      if (!packet.empty()) {
        EXPECT_EQ(packet, Bytes("0005\1", 5));
        output.append(packet);
        ++sent;
      }
      session.run_work();
    }
  }
  return {output, sent};
}

// The packets of an answer up to its last flush: what a client's side-band decoder sees.
std::string band(const std::string& answer, char wanted) {
  std::string out;
  Bytes rest(answer);
  while (!rest.empty()) {
    const auto step = format::decode_pkt_line(rest).value();
    EXPECT_TRUE(step.complete);
    if (!step.complete) break;
    if (step.line.kind == format::PktLine::Kind::kData && !step.line.data.empty() && step.line.data[0] == wanted) out.append(step.line.data.substr(1));
    rest.remove_prefix(step.consumed);
  }
  return out;
}

TEST_F(PushHook, keep_alives_of_a_push_come_with_the_side_band_only) {
  for (const std::string capabilities : {"report-status side-band-64k", "report-status", "side-band-64k"}) {
    store = open(*(memory = sys::make_memory_backend()));
    ASSERT_TRUE(store->create_repository("a/b", {}, {}).has_value());
    const auto session = protocol::make_receive_pack(*store, *store->find_repository("a/b").value(), options).value();
    const auto [answer, sent] = run_with_keep_alives(*session, request(capabilities, {}));
    if (capabilities == "report-status side-band-64k") {
      EXPECT_GE(sent, 2U);  // resolving, committing
      EXPECT_NE(band(answer, 1).find("ok refs/heads/main"), std::string::npos);
    } else {
      EXPECT_EQ(sent, 0U) << capabilities;
    }
  }
}

TEST_F(PushHook, keep_alives_of_a_fetch_come_once_the_pack_section_began) {
  ASSERT_TRUE(run_push(*store, "a/b", first.request));
  for (const int version : {0, 2}) {
    std::string request;
    if (version == 2) {
      format::append_pkt_line(request, "command=fetch\n");
      format::append_delim(request);
      format::append_pkt_line(request, "want " + first.tip.hex() + "\n");
    } else {
      format::append_pkt_line(request, "want " + first.tip.hex() + " side-band-64k ofs-delta\n");
      format::append_flush(request);
    }
    format::append_pkt_line(request, "done\n");
    if (version == 2) format::append_flush(request);
    protocol::UploadPackOptions fetch;
    fetch.version = version;
    fetch.stateless = true;
    const auto session = protocol::make_upload_pack(*store, *store->find_repository("a/b").value(), fetch).value();
    const auto [answer, sent] = run_with_keep_alives(*session, request);
    EXPECT_EQ(sent, 1U);
    const std::size_t keep_alive = answer.find(std::string("0005\1", 5));
    EXPECT_GT(keep_alive, answer.find(version == 2 ? "packfile\n" : "NAK\n"));
    EXPECT_TRUE(band(answer, 1).starts_with("PACK"));
    EXPECT_EQ(session->failure(), nullptr);
  }
}

}  // namespace
}  // namespace vexor
