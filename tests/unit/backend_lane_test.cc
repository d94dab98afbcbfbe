// Which requests share a line on their way to the backend, and how the replies are told apart.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "common/backend/lane.h"
#include "common/protocol/parser.h"
#include "tests/unit/catch.h"

using namespace tandem;
using namespace tandem::backend;

namespace {

// A lane whose clients and whose backend are the test.
class fixture final : lane_waker {
 public:
  fixture() {
    lane_.set_waker(*this);
    lane_.open(false);
  }

  // A client's request; of keys, one.
  void ask(const std::string& line) {
    const protocol::request r = protocol::parse_line(line);
    lane::access with(lane_);
    expected e;
    e.number = number_++;
    e.what = r.what;
    if (!protocol::asks_for_keys(r.what)) {
      e.reply = write_request(with.out(), r, {}, {});
      return with.add(e, r.key);
    }
    e.reply = with.joins(r.what) ? join_retrieval(with.out(), r.rest, true)
                                 : write_retrieval(with.out(), r, r.rest, true);
    with.add(e, r.rest);
  }
  // Requests that are written for nobody.
  void do_quietly(const std::vector<std::string>& lines) {
    lane::access with(lane_);
    for (const std::string& line : lines) {
      with.quiet_out().append(line);
      with.add_quiet({});
    }
  }
  void ask_for(const std::vector<std::string>& keys) {
    for (const std::string& key : keys) ask("get " + key + "\r\n");
  }
  // How many requests were lost; the connection is open again.
  std::uint32_t lose() {
    std::uint32_t lost = 0;
    lane_.close([&](const expected& e, std::string_view) { lost += e.requests; });
    lane_.open(false);
    return lost;
  }
  std::string sent() {
    byte_buffer wire;
    lane_.take_output(wire);
    return std::string(wire.view());
  }
  // What was answered to `text`, in pieces of so many bytes; false: it was taken for nonsense.
  bool receive(std::string_view text, std::size_t piece) {
    while (!text.empty()) {
      const std::size_t n = std::min(piece, text.size());
      std::copy_n(text.begin(), n, lane_.prepare().begin());
      text.remove_prefix(n);
      const auto hear = [&](const expected& e, std::string_view, std::string_view reply) {
        heard.push_back((e.goes_on ? "+" : "") + std::string(reply));
        requests.push_back(e.requests);
      };
      if (!lane_.received(n, hear)) return false;
    }
    return true;
  }

  std::vector<std::string> heard;
  std::vector<std::uint32_t> requests;  // that each of those is for
  unsigned wakes = 0;

 private:
  void wanted() override { ++wakes; }

  lane lane_{0};
  std::uint32_t number_ = 0;
};

std::string value(const std::string& key, const std::string& data) {
  return "VALUE " + key + " 0 " + std::to_string(data.size()) + "\r\n" + data + "\r\n";
}

const std::string end = "END\r\n";

struct row {
  std::vector<std::string> keys;
  std::string reply;
  std::vector<std::string> heard;
};

const row rows[] = {
    {{"a"}, value("a", "1") + end, {value("a", "1") + end}},
    {{"a", "b"},
     value("a", "1") + value("b", "2") + end,
     {"+" + value("a", "1"), value("b", "2") + end}},
    {{"a", "b", "c"}, value("b", "") + end, {"+" + end, "+" + value("b", ""), end}},
    {{"a", "b", "c"}, value("c", "3") + end, {"+" + end, "+" + end, value("c", "3") + end}},
    {{"a", "b", "c"}, value("a", end) + end, {"+" + value("a", end), "+" + end, end}},
    {{"a", "b"}, end, {"+" + end, end}},
    {{"a", "a", "b"},
     value("a", "VALUE b 0 1\r\nx") + value("a", "2") + end,
     {"+" + value("a", "VALUE b 0 1\r\nx"), "+" + value("a", "2"), end}},
    {{"ab", "a"}, value("a", "1") + end, {"+" + end, value("a", "1") + end}},
    {{"a", "b"},
     "SERVER_ERROR out of memory\r\n",
     {"+SERVER_ERROR out of memory\r\n", "SERVER_ERROR out of memory\r\n"}},
};

}  // namespace

TEST_CASE("replies to keys that share a line are told apart, however they are cut") {
  for (const row& each : rows)
    for (std::size_t piece = 1; piece <= each.reply.size() + 5; ++piece) {
      INFO(each.reply << " in pieces of " << piece);
      fixture f;
      f.ask_for(each.keys);
      f.ask("delete d\r\n");
      std::string line = "get";
      for (const std::string& key : each.keys) line += " " + key;
      REQUIRE(f.sent() == line + "\r\ndelete d\r\n");
      REQUIRE(f.receive(each.reply + "DELETED\r\n", piece));
      std::vector<std::string> wanted = each.heard;
      wanted.emplace_back("DELETED\r\n");
      REQUIRE(f.heard == wanted);
    }
}

TEST_CASE("a value that was not asked for is nonsense, whatever place it has on the line") {
  for (const std::string& reply : {value("c", "1") + end, value("b", "1") + value("a", "1") + end,
                                   value("a", "1") + value("c", "1") + end}) {
    INFO(reply);
    fixture f;
    f.ask_for({"a", "b"});
    (void)f.sent();
    REQUIRE_FALSE(f.receive(reply, reply.size()));
  }
}

TEST_CASE("only retrievals of one kind that stand together share a line, and not too many") {
  fixture f;
  f.ask_for({"a", "b"});
  f.ask("gets c\r\n");
  f.ask("gets d\r\n");
  f.ask("touch e 1\r\n");
  f.ask("get g\r\n");
  REQUIRE(f.sent() == "get a b\r\ngets c d\r\ntouch e 1\r\nget g\r\n");
  REQUIRE(f.receive(end + end + "TOUCHED\r\n" + end, 100));
  std::string keys;
  for (int i = 0; i < 40; ++i) {
    f.ask("get " + std::to_string(i) + "\r\n");
    keys += (i == 32 ? "\r\nget " : " ") + std::to_string(i);
  }
  REQUIRE(f.sent() == "get" + keys + "\r\n");
}

TEST_CASE("quiet requests that stand together have one reply, whatever stands between them") {
  const std::string replies =
      "SERVER_ERROR out of memory storing object\r\nHD s5\r\nMN\r\n" + end + "MN\r\n";
  for (std::size_t piece = 1; piece <= replies.size(); ++piece) {
    INFO("in pieces of " << piece);
    fixture f;
    f.do_quietly({"md a q\r\n", "md b q\r\n"});
    f.do_quietly({"md c q\r\n"});
    REQUIRE(f.wakes == 1);
    f.ask("get d\r\n");
    f.do_quietly({"md e q\r\n"});
    REQUIRE(f.sent() == "md a q\r\nmd b q\r\nmd c q\r\nmn\r\nget d\r\nmd e q\r\nmn\r\n");
    REQUIRE(f.receive(replies, piece));
    REQUIRE(f.heard.size() == 3);
    REQUIRE(f.heard[1] == end);
    REQUIRE(f.requests == std::vector<std::uint32_t>{3, 1, 1});
    f.do_quietly({"md f q\r\n"});
    REQUIRE(f.sent() == "md f q\r\nmn\r\n");
  }
}

TEST_CASE("quiet requests of a lost connection are lost each, and none of the next is joined") {
  fixture f;
  f.do_quietly({"md a q\r\n", "md b q\r\n"});
  REQUIRE(f.lose() == 2);
  f.do_quietly({"md c q\r\n"});
  REQUIRE(f.sent() == "md c q\r\nmn\r\n");
}
