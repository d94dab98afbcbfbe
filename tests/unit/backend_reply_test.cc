// Replies of a stock memcached at every fragment size, what clients get of them, and requests as
// they are sent there.
#include <string>
#include <vector>

#include "common/backend/lane.h"
#include "common/protocol/parser.h"
#include "tests/unit/catch.h"
#include "tests/unit/no_waker.h"

using namespace tandem;
using namespace tandem::backend;
using test::no_waker;

namespace {

struct reply_row {
  reply_shape shape;
  std::string text;
};

const std::vector<reply_row> replies = {
    {reply_shape::line, "STORED\r\n"},
    {reply_shape::line, "SERVER_ERROR out of memory storing object\r\n"},
    {reply_shape::values, "END\r\n"},
    {reply_shape::values, "VALUE a 0 0\r\n\r\nEND\r\n"},
    {reply_shape::values, "VALUE a 5 5 77\r\nEND\r\n\r\nVALUE b 0 1\r\nx\r\nEND\r\n"},
    {reply_shape::values, "VALUE VALUE 4294967295 7\r\nVALUE a\r\nEND\r\n"},
    {reply_shape::values, "ERROR\r\n"},
    {reply_shape::values,
     "VALUE a 0 1\r\nx\r\nSERVER_ERROR out of memory writing get response\r\n"},
    {reply_shape::meta, "HD\r\n"},
    {reply_shape::meta, "EN\r\n"},
    {reply_shape::meta, "VA 3 c5 kVA Z\r\nVA \r\n"},
    {reply_shape::meta, "VA 0\r\n\r\n"},
    {reply_shape::meta, "CLIENT_ERROR invalid flag\r\n"},
    {reply_shape::quiet, "MN\r\n"},
    {reply_shape::quiet, "SERVER_ERROR out of memory storing object\r\nHD s5\r\nMN\r\n"},
};

std::string sent(const std::string& line, const std::string& block, const unique& cas,
                 expectation* what = nullptr) {
  byte_buffer out;
  const expectation e = write_request(out, protocol::parse_line(line), block, cas);
  if (what != nullptr) *what = e;
  return std::string(out.view());
}

void add(lane& to, const std::string& line, std::uint32_t number) {
  lane::access with(to);
  expected e;
  e.number = number;
  const protocol::request r = protocol::parse_line(line);
  e.reply = r.what == protocol::verb::get ? write_retrieval(with.out(), r, r.rest, true)
                                          : write_request(with.out(), r, {}, {});
  with.add(e, r.key);
}

}  // namespace

TEST_CASE("a reply ends where it ends, however it is cut, whatever stands behind it") {
  for (const reply_row& row : replies)
    for (const std::string& behind : {std::string(), std::string("HD\r\n")}) {
      INFO(row.text);
      const std::string all = row.text + behind;
      for (std::size_t piece = 1; piece <= all.size(); ++piece) {
        reply_finder finder;
        for (std::size_t n = piece;; n += piece) {
          const std::string_view seen = std::string_view(all).substr(0, n);
          const auto status = finder.find(seen, row.shape);
          REQUIRE(status != reply_finder::status::malformed);
          if (status == reply_finder::status::complete) break;
          REQUIRE(finder.size() > seen.size());
          REQUIRE(finder.size() <= row.text.size());
        }
        REQUIRE(finder.size() == row.text.size());
      }
    }
}

TEST_CASE("what is not memcached's protocol is malformed") {
  reply_finder finder;
  const auto verdict = [&](std::string_view text, reply_shape shape) {
    finder.restart();
    return finder.find(text, shape);
  };
  using status = reply_finder::status;
  REQUIRE(verdict("VALUE a 0 x\r\n", reply_shape::values) == status::malformed);
  REQUIRE(verdict("VALUE a 0\r\n", reply_shape::values) == status::malformed);
  REQUIRE(verdict("VALUE a 0 99999999999\r\n", reply_shape::values) == status::malformed);
  REQUIRE(verdict("VALUE a 0 1\r\nxyz\r\n", reply_shape::values) == status::malformed);
  REQUIRE(verdict("VA -1\r\n", reply_shape::meta) == status::malformed);
  REQUIRE(verdict(std::string(5000, 'x'), reply_shape::line) == status::malformed);
}

TEST_CASE("a classic command becomes the meta command that stores the same with our unique") {
  REQUIRE(sent("set k 5 60 2\r\n", "hi\r\n", {}) == "set k 5 60 2\r\nhi\r\n");
  REQUIRE(sent("set k 5 60 2\r\n", "hi\r\n", 9) == "ms k 2 E9 T60 F5 MS\r\nhi\r\n");
  REQUIRE(sent("add k 0 -7 2 noreply\r\n", "hi\r\n", 9) == "ms k 2 E9 T-1 F0 ME\r\nhi\r\n");
  REQUIRE(sent("append k 5 60 2\r\n", "hi\r\n", 9) == "ms k 2 E9 MA\r\nhi\r\n");
  REQUIRE(sent("cas k 5 0 2 33\r\n", "hi\r\n", 9) == "ms k 2 E9 T0 F5 MS C33\r\nhi\r\n");
  REQUIRE(sent("cas k 5 0 2 0\r\n", "hi\r\n", 9) == "cas k 5 0 2 0\r\nhi\r\n");
  REQUIRE(sent("incr k 3\r\n", "", 9) == "ma k v D3 E9\r\n");
  REQUIRE(sent("decr k 3\r\n", "", 9) == "ma k v D3 E9 MD\r\n");
  REQUIRE(sent("decr k 3 noreply\r\n", "", {}) == "decr k 3\r\n");
  REQUIRE(sent("delete k 0 noreply\r\n", "", 9) == "delete k\r\n");
  REQUIRE(sent("touch k 9\r\n", "", 9) == "touch k 9\r\n");
}

TEST_CASE("a meta command goes aloud, and with a unique unless it has one") {
  REQUIRE(sent("ms k 2 q T9 Oabc\r\n", "hi\r\n", 9) == "ms k 2 T9 Oabc E9\r\nhi\r\n");
  REQUIRE(sent("ms k 2 E3\r\n", "hi\r\n", 9) == "ms k 2 E3\r\nhi\r\n");
  REQUIRE(sent("ms k 2 q\r\n", "hi\r\n", {}) == "ms k 2\r\nhi\r\n");
  REQUIRE(sent("mg k v q\r\n", "", 9) == "mg k v\r\n");
  REQUIRE(sent("mg k v N30\r\n", "", 9) == "mg k v N30 E9\r\n");
  REQUIRE(sent("md k q\r\n", "", 9) == "md k\r\n");
  REQUIRE(sent("md k I T30\r\n", "", 9) == "md k I T30 E9\r\n");
  expectation e;
  (void)sent("md k I\r\n", "", {}, &e);
  REQUIRE(e.what == change::stored);
  (void)sent("md k\r\n", "", {}, &e);
  REQUIRE(e.what == change::removed);
}

TEST_CASE("clients get what their command would have been answered") {
  REQUIRE(for_client(treatment::storage_word, "HD\r\n") == "STORED\r\n");
  REQUIRE(for_client(treatment::storage_word, "NS\r\n") == "NOT_STORED\r\n");
  REQUIRE(for_client(treatment::storage_word, "EX\r\n") == "EXISTS\r\n");
  REQUIRE(for_client(treatment::storage_word, "NF\r\n") == "NOT_FOUND\r\n");
  REQUIRE(for_client(treatment::storage_word, "SERVER_ERROR x\r\n") == "SERVER_ERROR x\r\n");
  REQUIRE(for_client(treatment::number, "VA 2\r\n17\r\n") == "17\r\n");
  REQUIRE(for_client(treatment::number, "NF\r\n") == "NOT_FOUND\r\n");
  REQUIRE(for_client(treatment::values_only, "VALUE a 0 1\r\nx\r\nEND\r\n") ==
          "VALUE a 0 1\r\nx\r\n");
  REQUIRE(for_client(treatment::quiet_get, "EN\r\n").empty());
  REQUIRE(for_client(treatment::quiet_get, "HD\r\n") == "HD\r\n");
  REQUIRE(for_client(treatment::quiet, "HD\r\n").empty());
  REQUIRE(for_client(treatment::quiet, "VA 1\r\n6\r\n").empty());
  REQUIRE(for_client(treatment::quiet, "NF\r\n") == "NF\r\n");
}

TEST_CASE("a reply tells whether the key's state may be another one") {
  for (const char* none : {"EX\r\n", "EXISTS\r\n", "NOT_STORED\r\n", "NOT_FOUND\r\n", "NS\r\n",
                           "NF\r\n", "EN\r\n", "END\r\n", "ERROR\r\n", "CLIENT_ERROR x\r\n"})
    REQUIRE_FALSE(happened(change::stored, none));
  for (const char* some : {"HD\r\n", "STORED\r\n", "TOUCHED\r\n", "17\r\n", "VA 1\r\n1\r\n",
                           "VALUE a 0 1\r\n1\r\nEND\r\n", "SERVER_ERROR out of memory\r\n"})
    REQUIRE(happened(change::stored, some));
  REQUIRE(happened(change::removed, "NOT_FOUND\r\n"));
  REQUIRE_FALSE(happened(change::removed, "EX\r\n"));
  REQUIRE(happened(change::won, "HD kW X W\r\n"));
  REQUIRE_FALSE(happened(change::won, "VA 3 kW\r\n W \r\n"));
  REQUIRE_FALSE(happened(change::none, "HD\r\n"));
}

TEST_CASE("a lane answers its requests in their order, with the keys of those that change") {
  lane one(0);
  no_waker waker;
  one.set_waker(waker);
  one.open(false);
  byte_buffer wire;
  std::vector<std::string> heard;
  const auto answer = [&](const expected& e, std::string_view key, std::string_view reply) {
    heard.push_back(std::to_string(e.number) + " " + std::string(key) + " " + std::string(reply));
  };
  const auto receive = [&](std::string_view text) {
    for (const char c : text) {
      one.prepare().front() = c;
      if (!one.received(1, answer)) return false;
    }
    return true;
  };
  add(one, "get a\r\n", 1);
  add(one, "delete bcd\r\n", 2);
  REQUIRE(waker.calls == 1);
  one.take_output(wire);
  REQUIRE(wire.view() == "get a\r\ndelete bcd\r\n");
  add(one, "touch efgh 3\r\n", 3);
  REQUIRE(waker.calls == 2);
  REQUIRE(receive("VALUE a 0 1\r\nx\r\nEND\r\n"));
  wire.consume(wire.size());
  one.take_output(wire);
  REQUIRE(wire.view() == "touch efgh 3\r\n");
  REQUIRE(receive("DELETED\r\nTOUCHED\r\n"));
  REQUIRE(heard == std::vector<std::string>{"1  VALUE a 0 1\r\nx\r\nEND\r\n", "2 bcd DELETED\r\n",
                                            "3 efgh TOUCHED\r\n"});
  REQUIRE_FALSE(one.waiting());
  REQUIRE_FALSE(receive("DELETED\r\n"));

  add(one, "delete i\r\n", 4);
  wire.consume(wire.size());
  one.take_output(wire);
  add(one, "delete j\r\n", 5);
  std::vector<std::uint32_t> lost;
  one.close([&](const expected& e, std::string_view) { lost.push_back(e.number); });
  REQUIRE(lost == std::vector<std::uint32_t>{4, 5});
  REQUIRE_FALSE(one.up());
}

TEST_CASE("what a lane remembers does not grow while it is never idle") {
  lane one(0);
  no_waker waker;
  one.set_waker(waker);
  one.open(false);
  byte_buffer wire;
  std::uint32_t answered = 0;
  add(one, "delete k0\r\n", 0);
  for (std::uint32_t i = 1; i < 5000; ++i) {
    add(one, "delete k" + std::to_string(i) + "\r\n", i);
    one.take_output(wire);
    wire.consume(wire.size());
    const std::string_view reply = "DELETED\r\n";
    std::copy(reply.begin(), reply.end(), one.prepare().begin());
    REQUIRE(
        one.received(reply.size(), [&](const expected& e, std::string_view key, std::string_view) {
          REQUIRE(e.number == answered++);
          REQUIRE(key == "k" + std::to_string(e.number));
        }));
  }
}

TEST_CASE("requests wait while more than they are unanswered, and go out together") {
  lane one(0);
  no_waker waker;
  one.set_waker(waker);
  one.open(false);
  byte_buffer wire;
  const auto sent = [&] {
    wire.consume(wire.size());
    one.take_output(wire);
    return std::string(wire.view());
  };
  for (std::uint32_t i = 1; i <= 3; ++i) add(one, "delete a\r\n", i);
  REQUIRE(waker.calls == 1);
  REQUIRE(sent() == "delete a\r\ndelete a\r\ndelete a\r\n");
  add(one, "delete b\r\n", 4);
  REQUIRE(waker.calls == 2);
  REQUIRE(sent().empty());  // three are unanswered
  add(one, "delete c\r\n", 5);
  const std::string_view reply = "DELETED\r\n";
  std::copy(reply.begin(), reply.end(), one.prepare().begin());
  REQUIRE(one.received(reply.size(), [](const expected&, std::string_view, std::string_view) {}));
  REQUIRE(waker.calls == 2);
  REQUIRE(sent() == "delete b\r\ndelete c\r\n");  // as many as are unanswered

  add(one, "delete d\r\n", 6);
  REQUIRE(sent().empty());
  for (std::uint32_t i = 7; i <= 9; ++i) {
    REQUIRE(waker.calls == 3);
    add(one, "delete e\r\n", i);
  }
  REQUIRE(waker.calls == 4);  // whoever makes them enough
  REQUIRE(sent() == "delete d\r\ndelete e\r\ndelete e\r\ndelete e\r\n");
}
