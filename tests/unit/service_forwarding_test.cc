// Commands that the peer executes: which are sent on, what the client sees, and the peer's end of
// it.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/replication/forwards.h"
#include "common/service/peer_request.h"
#include "tests/unit/catch.h"
#include "tests/unit/service_client.h"

using namespace tandem;
using namespace tandem::service;
using namespace tandem::test;
using replication::forward_outcome;
using replication::write_place;
using std::chrono::milliseconds;

namespace {

const std::string no_answer = "SERVER_ERROR no answer from the master\r\n";

// A slave's client, and the master.
struct slave_client : client {
  explicit slave_client(std::vector<std::string> prefixes = {},
                        write_place where = write_place::peer, bool reads = false)
      : client(std::make_unique<write_routes>(std::move(prefixes), milliseconds(1000))) {
    route(where, reads);
  }
  void route(write_place where, bool reads = false) { host.router->set({where, reads}); }
  // Sends everything, in pieces, and lets the master answer whatever is forwarded.
  std::string converse(std::string_view script, std::size_t piece) {
    std::string got;
    for (int tries = 0; tries < 100'000 && (tries == 0 || !script.empty()); ++tries) {
      got += send(script, piece);
      script = script.substr(script.size() - unsent);
      while (const std::string* request = connection.to_forward()) {
        ++requests;
        const auto done =
            execute_for_peer(master.data, master.host.statistics, master.host, *request, noon);
        got += answer(forward_outcome::answered, done.replies, noon);
      }
    }
    return got;
  }
  client master;
  int requests = 0;
};

}  // namespace

TEST_CASE("a slave's client sees what the master's client would, however its bytes are cut") {
  const std::string big(40'000, 'b');
  const std::string script =
      set("a", "1") + set("n", "5") + "incr n 2\r\n" + "add a 0 0 1\r\nx\r\n" +
      "append a 0 0 2\r\nbc\r\n" + "touch a 50\r\n" + "gat 60 a n nothing\r\n" +
      "ms m 2 T0 Ofoo\r\nhi\r\n" + "mg m v t T30\r\n" + "ma n\r\n" + "md m q\r\nmn\r\n" +
      "set quiet 0 0 1 noreply\r\n1\r\n" + "delete quiet\r\n" + set("big", big) + "gat 9 big\r\n" +
      "delete nothing\r\n" + "set bad 0 0 1\r\nxyz\r\n" + "cas a 0 0 1 77\r\nz\r\n" +
      "flush_all\r\n" + "incr n 1\r\n" + "version\r\n";
  client plain;
  const std::string wanted = plain.send(script);
  for (const std::size_t piece :
       {std::size_t{1}, std::size_t{5}, std::size_t{500}, std::string::npos}) {
    slave_client c;
    REQUIRE(c.converse(script, piece) == wanted);
    REQUIRE(c.data.journal_end(0) == 0);  // nothing was changed here
    REQUIRE(c.master.data.digest(noon).digest == plain.data.digest(noon).digest);
  }
}

TEST_CASE("a pipeline travels together, and what is behind it waits") {
  slave_client c;
  std::string script;
  for (int i = 0; i < 20; ++i) script += "set k" + std::to_string(i) + " 0 0 1\r\n1\r\n";
  REQUIRE(c.send(script + "get k0\r\nincr k0 1\r\n").empty());
  REQUIRE(c.connection.forwards());
  REQUIRE_FALSE(c.connection.wants_read());
  REQUIRE(*c.connection.to_forward() == script);
  REQUIRE(c.connection.to_forward() == nullptr);  // it is on its way
  REQUIRE(c.answer(forward_outcome::answered, "all of it\r\n", noon) == "all of it\r\nEND\r\n");
  REQUIRE(*c.connection.to_forward() == "incr k0 1\r\n");
}

TEST_CASE("keys are chosen by prefixes, as they are meant and not as they are spelled") {
  slave_client c({"lock:", "n"});
  REQUIRE(c.send(set("other", "1")) == "STORED\r\n");
  REQUIRE(c.send("gat 5 other x\r\n") == hit("other", "1") + "END\r\n");
  REQUIRE(c.send("get lock:a\r\nmg lock:a v\r\n") == "END\r\nEN\r\n");
  for (const std::string line : {"add lock:a 0 0 1\r\n1\r\n", "gat 5 other lock:b\r\n",
                                 "mg lock:a v T5\r\n", "ma bG9jazpo b\r\n", "flush_all\r\n"}) {
    INFO(line);
    REQUIRE(c.send(line).empty());
    REQUIRE(*c.connection.to_forward() == line);
    REQUIRE(c.answer(forward_outcome::answered, "done\r\n", noon) == "done\r\n");
  }
}

TEST_CASE(
    "what may have been executed is an error for each that expects a reply, and not repeated") {
  slave_client c;
  REQUIRE(c.send("incr n 1\r\nset a 0 0 1 noreply\r\n1\r\ndecr n 1\r\nmn\r\n").empty());
  REQUIRE(c.connection.to_forward() != nullptr);
  REQUIRE(c.answer(forward_outcome::failed, "", noon) == no_answer + no_answer + "MN\r\n");
  REQUIRE(c.connection.to_forward() == nullptr);
}

TEST_CASE("what was not executed there is looked at again: here, if this node is the master now") {
  slave_client c;
  REQUIRE(c.send(set("n", "1") + "incr n 1\r\n").empty());
  REQUIRE(c.connection.to_forward() != nullptr);
  REQUIRE(c.answer(forward_outcome::elsewhere, "", noon).empty());
  REQUIRE(c.connection.to_forward() != nullptr);  // once more
  c.route(write_place::here);
  REQUIRE(c.answer(forward_outcome::elsewhere, "", noon) == "STORED\r\n2\r\n");
  // But not for ever.
  c.route(write_place::peer);
  REQUIRE(c.send("incr n 1\r\n").empty());
  REQUIRE(c.answer(forward_outcome::elsewhere, "", after(milliseconds(999))).empty());
  REQUIRE(c.connection.forwards());
  REQUIRE(c.answer(forward_outcome::elsewhere, "", after(milliseconds(1000))) == no_answer);
  REQUIRE(c.send("get n\r\n") == hit("n", "2") + "END\r\n");
}

TEST_CASE("who executes a command is decided when all of it is there") {
  // In the buffer, and received into its place; cut within the block and before its end.
  const std::size_t size = GENERATE(std::size_t{5}, std::size_t{300'000});
  const std::size_t missing = GENERATE(std::size_t{1}, std::size_t{4});
  const std::string value(size, 'v');
  const std::string line = set("k", value, "append");
  slave_client c;
  c.route(write_place::here);
  c.send(set("k", "0"));
  c.master.send(set("k", "1"));
  REQUIRE(c.send(line.substr(0, line.size() - missing), 10'000).empty());
  SECTION("at the peer") {
    c.route(write_place::peer);
    REQUIRE(c.converse(line.substr(line.size() - missing) + "mn\r\n", 100) == "STORED\r\nMN\r\n");
    REQUIRE(c.requests == 1);
    REQUIRE(c.master.send("get k\r\n") == hit("k", "1" + value) + "END\r\n");
    REQUIRE(c.send("get k\r\n") == hit("k", "0") + "END\r\n");
  }
  SECTION("here after all, with what the peer gives back") {
    c.route(write_place::peer);
    REQUIRE(c.send(line.substr(line.size() - missing) + "mn\r\n").empty());
    REQUIRE(*c.connection.to_forward() == line);
    c.route(write_place::here);
    REQUIRE(c.answer(forward_outcome::elsewhere, "", noon) == "STORED\r\nMN\r\n");
    REQUIRE(c.send("get k\r\n") == hit("k", "0" + value) + "END\r\n");
  }
  SECTION("nowhere, or nobody knows") {
    const bool lost = GENERATE(false, true);
    c.route(lost ? write_place::peer : write_place::refuse);
    std::string got = c.send(line.substr(line.size() - missing) + "mn\r\n");
    if (lost) {
      REQUIRE(c.connection.to_forward() != nullptr);
      got += c.answer(forward_outcome::failed, "", noon);
    }
    REQUIRE(got == (lost ? no_answer : "SERVER_ERROR the master is out of reach\r\n") + "MN\r\n");
    REQUIRE(c.send("get k\r\n") == hit("k", "0") + "END\r\n");
  }
  SECTION("here, as when it began") {
    REQUIRE(c.send(line.substr(line.size() - missing)) == "STORED\r\n");
    REQUIRE(c.send("get k\r\n") == hit("k", "0" + value) + "END\r\n");
  }
  REQUIRE(c.send("mn\r\n") == "MN\r\n");
}

TEST_CASE("writes are refused where the master is out of reach, and too large ones always") {
  slave_client c({}, write_place::refuse);
  const std::string line = "SERVER_ERROR the master is out of reach\r\n";
  REQUIRE(c.send(set("a", "1") + "get a\r\nincr a 1\r\ndelete a noreply\r\nmn\r\n") ==
          line + "END\r\n" + line + "MN\r\n");
  REQUIRE(c.send(set("a", std::string(50'000, 'x')), 1000) == line);
  c.route(write_place::peer);
  REQUIRE(c.send(set("a", std::string(3 << 20, 'x')) + "mn\r\n", 50'000) ==
          "SERVER_ERROR object too large to be sent to the master\r\nMN\r\n");
}

TEST_CASE("a retrieval that misses is asked of the peer while this node is filled") {
  slave_client c({}, write_place::here, true);
  c.send(set("mine", "1"));
  c.master.send(set("theirs", "2"));
  REQUIRE(c.converse("get mine\r\n", 100) == hit("mine", "1") + "END\r\n");
  REQUIRE(c.requests == 0);
  REQUIRE(c.converse("get theirs\r\nmg theirs v\r\nget no\r\n", 3) ==
          hit("theirs", "2") + "END\r\nVA 1\r\n2\r\nEND\r\n");
  REQUIRE(c.requests == 3);
}

TEST_CASE("the executing side tells what it has changed, noreply or not") {
  client c;
  const auto execute = [&](std::string_view request) {
    return execute_for_peer(c.data, c.host.statistics, c.host, request, noon);
  };
  const auto done = execute("set a 0 0 1 noreply\r\n1\r\nget a\r\n" + set("b", "2"));
  REQUIRE(done.replies == hit("a", "1") + "END\r\nSTORED\r\n");
  REQUIRE(done.marks.size() == 2);
  REQUIRE(done.marks.back().position == c.data.journal_end(0));
  REQUIRE(execute("flush_all\r\n").marks.front().slot == c.data.shard_count());
  REQUIRE(execute("set a 0 0 10\r\n1").replies.empty());
}

namespace {

// Two sessions' bookkeeping, back to back.
struct forward_pair {
  replication::session asking{1, true, "peer", replication::hello{}, replication::nonce{}, noon};
  replication::session executing{1,   false, "peer", replication::hello{}, replication::nonce{},
                                 noon};
  replication::frame_reader from_asking, from_executing;
  replication::forward_requests requests;
  replication::forward_answers answers;
  replication::forward_requests::results done;

  // What one side said, frame by frame, to the other; the hello apart.
  template <class Take>
  void carry(replication::session& from, Take&& take) {
    replication::frame_reader& reader = &from == &asking ? from_asking : from_executing;
    reader.set_payload_max(replication::frame_payload_max);
    reader.feed(std::exchange(from.out, {}));
    replication::frame f{};
    while (reader.next(f) == replication::frame_reader::status::frame)
      if (f.type != replication::frame_type::hello) REQUIRE(take(f) == nullptr);
  }
};

}  // namespace

TEST_CASE("requests and answers of any size go in pieces; each is answered once") {
  for (const std::size_t size : {0UL, 1UL, 65536UL, 65537UL, 1UL << 20}) {
    forward_pair p;
    const std::string request(size, 'r'), reply(size + 7, 'a');
    REQUIRE(p.requests.add(5, request, after(milliseconds(10)).steady));
    p.requests.send(p.asking);
    p.requests.send(p.asking);  // nothing is sent twice
    p.carry(p.asking, [&](const replication::frame& f) { return p.answers.take(f.payload); });
    const auto next = p.answers.next(0);
    REQUIRE(next.has_value());
    REQUIRE(next->first == 5);
    REQUIRE(next->second == request);
    REQUIRE_FALSE(p.answers.next(0).has_value());
    p.answers.add({1, 5, reply, {{0, 3}}});
    p.answers.send(p.executing, [](const auto&) { return false; });  // the record goes first
    REQUIRE_FALSE(p.answers.empty());
    p.answers.send(p.executing, [](const auto& mark) { return mark.position == 3; });
    p.carry(p.executing,
            [&](const replication::frame& f) { return p.requests.take(f.payload, p.done); });
    REQUIRE(p.done.size() == 1);
    REQUIRE(p.done[0].outcome == forward_outcome::answered);
    REQUIRE(p.done[0].bytes == reply);
    REQUIRE(p.requests.size() == 0);
  }
}

TEST_CASE("a request ends in time, with its link, or unsent with the role") {
  forward_pair p;
  REQUIRE(p.requests.add(1, "a", after(milliseconds(10)).steady));
  p.requests.send(p.asking);
  REQUIRE(p.requests.add(2, "b", after(milliseconds(20)).steady));
  REQUIRE(p.requests.add(3, "c", after(milliseconds(30)).steady));
  REQUIRE(p.requests.deadline() == after(milliseconds(10)).steady);
  p.requests.lost(p.done);
  REQUIRE(p.done.size() == 1);
  REQUIRE(p.done[0].id == 1);
  REQUIRE(p.done[0].outcome == forward_outcome::failed);
  p.done.clear();
  p.requests.expire(after(milliseconds(20)).steady, p.done);
  REQUIRE(p.done.size() == 1);
  REQUIRE(p.done[0].outcome == forward_outcome::failed);
  p.done.clear();
  p.requests.give_back(p.done);
  REQUIRE(p.done.size() == 1);
  REQUIRE(p.done[0].id == 3);
  REQUIRE(p.done[0].outcome == forward_outcome::elsewhere);
  // Bounded.
  for (std::uint64_t id = 10; id < 10 + replication::forwards_max; ++id)
    REQUIRE(p.requests.add(id, "x", after(milliseconds(30)).steady));
  REQUIRE_FALSE(p.requests.add(9999, "x", after(milliseconds(30)).steady));
  // A declined one is given back, and a malformed frame ends the session.
  p.requests.send(p.asking);
  replication::forward_answers::decline(p.executing, 11);
  p.done.clear();
  p.carry(p.executing,
          [&](const replication::frame& f) { return p.requests.take(f.payload, p.done); });
  REQUIRE(p.done.size() == 1);
  REQUIRE(p.done[0].outcome == forward_outcome::elsewhere);
  REQUIRE(p.requests.take("short", p.done) != nullptr);
  REQUIRE(p.answers.take("short") != nullptr);
}
