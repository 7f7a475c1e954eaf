// What the client of a push is told of its outcome, by a primary whose set is the test.
#include <future>

#include "support/replica_pair.h"
#include "support/session_run.h"

namespace vexor {
namespace {

using namespace test;

const ObjectId kNone = ObjectId::null(kAlgorithm);

struct Told {
  std::string data, progress, error;  // bands 1, 2 and 3; without a side-band all is data
  bool ends_with_error = false;       // nothing comes behind band 3
  bool is_failure = false;            // of the session
};

class ReceiptOfPush : public testing::Test {
 protected:
  void SetUp() override {
    options_.stateless = true;
    ASSERT_TRUE(member_.log->lead(1, member_.sink).has_value());
    replicate(member_, {}, [&] { ASSERT_TRUE(member_.store->create_repository("a/b", {}, {}).has_value()); });
  }

  // A push of one new branch; `settle` gets the sequence of its record once that is appended.
  Told push(const std::string& capabilities, const std::function<void(std::uint64_t)>& settle) {
    const std::uint64_t sequence = member_.log->last().sequence + 1;
    const std::string branch = "refs/heads/b" + std::to_string(sequence);
    const Push plain = make_push(std::nullopt, static_cast<int>(sequence), 2, branch, kNone);
    std::string request;
    format::append_pkt_line(request, kNone.hex() + " " + plain.tip.hex() + " " + branch + std::string(1, '\0') + " " + capabilities);
    format::append_flush(request);
    request += plain.request.substr(plain.request.find("PACK"));
    const auto session = protocol::make_receive_pack(*member_.store, *member_.store->find_repository("a/b").value(), options_).value();
    auto answer = std::async(std::launch::async, [&] { return run_session(*session, request); });
    member_.sink.wait_for(sequence);
    settle(sequence);
    Told out = take_apart(answer.get(), capabilities.find("side-band-64k") != std::string::npos);
    out.is_failure = session->failure() != nullptr;
    return out;
  }
  Told push_settled(const std::string& capabilities, Receipt receipt) {
    return push(capabilities, [&](std::uint64_t sequence) {
      EXPECT_TRUE(member_.log->apply(sequence).has_value());
      receipt.sequence = sequence;
      member_.log->settle(receipt);
    });
  }
  static Told take_apart(const std::string& answer, bool has_bands) {
    Told out;
    if (!has_bands) {
      out.data = answer;
      return out;
    }
    for (Bytes rest(answer); !rest.empty();) {
      const auto step = format::decode_pkt_line(rest).value();
      EXPECT_TRUE(step.complete);
      if (!step.complete) break;
      out.ends_with_error = false;
      if (step.line.kind == format::PktLine::Kind::kData && !step.line.data.empty()) {
        const char band = step.line.data[0];
        (band == 1 ? out.data : band == 2 ? out.progress : out.error).append(step.line.data.substr(1));
        out.ends_with_error = band == 3;
      }
      rest.remove_prefix(step.consumed);
    }
    return out;
  }

  static constexpr Receipt kAll{0, 3, 3, true, true, false};
  static constexpr Receipt kShort{0, 2, 3, true, false, true};

  Member member_;
  protocol::ReceivePackOptions options_;
};

TEST_F(ReceiptOfPush, says_where_it_is) {
  const Told told = push_settled("report-status side-band-64k", kAll);
  EXPECT_EQ(told.progress, "stored on 3 of 3 servers, off-site included, sequence 2\n");
  EXPECT_NE(told.data.find("unpack ok\n"), std::string::npos);
  EXPECT_NE(told.data.find("ok refs/heads/b2\n"), std::string::npos);
  EXPECT_EQ(told.error, "");
  Receipt two = kShort;
  two.is_short = false;  // copies = two asks for no more
  EXPECT_EQ(push_settled("report-status side-band-64k", two).progress, "stored on 2 of 3 servers, off-site follows, sequence 3\n");
}

// C6: an error, and no word that the refs had not changed.
TEST_F(ReceiptOfPush, a_short_one_is_an_error_behind_refs_that_have_changed) {
  const std::string wanted = "copies = all asks for all of them. The change is made and the other servers follow: there is nothing to repeat";
  for (const std::string capabilities : {"report-status side-band-64k", "report-status side-band-64k quiet"}) {
    const Told told = push_settled(capabilities, kShort);
    EXPECT_NE(told.data.find("unpack ok\n"), std::string::npos) << capabilities;
    EXPECT_NE(told.data.find("ok refs/heads/b"), std::string::npos) << capabilities;
    EXPECT_EQ(told.data.find("ng refs/"), std::string::npos) << capabilities;
    EXPECT_TRUE(told.data.ends_with("0000")) << capabilities;  // the report is whole
    EXPECT_TRUE(told.error.starts_with("stored on 2 of 3 servers, off-site follows, sequence ")) << told.error;
    EXPECT_NE(told.error.find(wanted), std::string::npos) << told.error;
    EXPECT_TRUE(told.ends_with_error) << capabilities;
    const bool is_quiet = capabilities.ends_with("quiet");  // else clients that fail on band 3 without showing it have shown this
    EXPECT_EQ(told.progress, is_quiet ? "" : "stored on 2 of 3 servers, off-site follows, sequence 2\n");
    EXPECT_FALSE(told.is_failure) << capabilities;  // a push that failed would be begun again
  }
  EXPECT_EQ(member_.store->list_refs(1).value().size(), 2U);
}

TEST_F(ReceiptOfPush, a_short_one_is_told_without_a_side_band_and_without_a_report) {
  const Told plain = push_settled("report-status", kShort);
  EXPECT_NE(plain.data.find("unpack stored on 2 of 3 servers, off-site follows, sequence 2; copies = all asks for"), std::string::npos) << plain.data;
  EXPECT_NE(plain.data.find("ok refs/heads/b2\n"), std::string::npos) << plain.data;
  EXPECT_EQ(plain.data.find("ng refs/"), std::string::npos);
  const Told unreported = push_settled("side-band-64k", kShort);
  EXPECT_EQ(unreported.data, "");
  EXPECT_TRUE(unreported.error.starts_with("stored on 2 of 3 servers"));
  EXPECT_EQ(push_settled("", kShort).data, "");
}

// Nothing of it was committed: there is no receipt to be short.
TEST_F(ReceiptOfPush, what_was_refused_has_none) {
  EXPECT_NE(push_settled("report-status side-band-64k", kAll).data.find("ok refs/heads/b2\n"), std::string::npos);
  const Push same = make_push(std::nullopt, 9, 2, "refs/heads/b2", kNone);
  const auto session = protocol::make_receive_pack(*member_.store, *member_.store->find_repository("a/b").value(), options_).value();
  std::string request;
  format::append_pkt_line(request, kNone.hex() + " " + same.tip.hex() + " refs/heads/b2" + std::string(1, '\0') + " report-status side-band-64k");
  format::append_flush(request);
  const Told told = take_apart(run_session(*session, request + same.request.substr(same.request.find("PACK"))), true);
  EXPECT_NE(told.data.find("ng refs/heads/b2 "), std::string::npos) << told.data;
  EXPECT_EQ(told.progress.find("stored on"), std::string::npos);
  EXPECT_EQ(told.error, "");
}

// A deletion of a ref that is not there is done without a record: none is stored anywhere.
TEST_F(ReceiptOfPush, what_changes_nothing_has_none) {
  const auto session = protocol::make_receive_pack(*member_.store, *member_.store->find_repository("a/b").value(), options_).value();
  std::string request;
  format::append_pkt_line(request, kNone.hex() + " " + kNone.hex() + " refs/heads/none" + std::string(1, '\0') + " report-status delete-refs side-band-64k");
  format::append_flush(request);
  const Told told = take_apart(run_session(*session, request), true);
  EXPECT_NE(told.data.find("ok refs/heads/none\n"), std::string::npos) << told.data;
  EXPECT_EQ(told.progress.find("stored on"), std::string::npos) << told.progress;
}

TEST_F(ReceiptOfPush, an_unknown_outcome_is_told_with_its_sequence_and_nothing_else) {
  const auto give_up = [&](std::uint64_t sequence) { member_.log->give_up(sequence); };
  const std::string wanted = "it is not known whether the push was stored; if it was, its journal sequence is 2: fetch to see\n";
  const Told told = push("report-status side-band-64k", give_up);
  EXPECT_NE(told.data.find("unpack " + wanted), std::string::npos) << told.data;
  EXPECT_NE(told.data.find("ng refs/heads/b2 " + wanted), std::string::npos) << told.data;
  EXPECT_EQ(told.data.find("epoch"), std::string::npos) << told.data;
  EXPECT_EQ(told.progress.find("stored on"), std::string::npos);
  EXPECT_TRUE(told.is_failure);
  const auto stop = [&](std::uint64_t) { EXPECT_TRUE(member_.log->follow().has_value()); };
  EXPECT_NE(push("report-status", stop).data.find("if it was, its journal sequence is 3: fetch to see\n"), std::string::npos);
}

// U3: the run before it may have been committed, whatever a repetition fails of.
TEST_F(ReceiptOfPush, a_repetition_that_fails_knows_no_more) {
  options_.may_be_done_after = 1;
  options_.before_commit = [](const protocol::PushRequest&) -> Result<void> { return Error(Errc::kRefused, "you may not write to this repository any more"); };
  const std::string request = make_push(std::nullopt, 1, 2, "refs/heads/main", kNone).request;
  const auto session = protocol::make_receive_pack(*member_.store, *member_.store->find_repository("a/b").value(), options_).value();
  const std::string answer = run_session(*session, request);
  EXPECT_NE(answer.find("ng refs/heads/main it is not known whether the push was stored; if it was, behind journal sequence 1: fetch to see\n"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("you may not"), std::string::npos);
  ASSERT_NE(session->failure(), nullptr);
  EXPECT_EQ(session->failure()->code(), Errc::kRefused);  // for the log
}

}  // namespace
}  // namespace vexor
