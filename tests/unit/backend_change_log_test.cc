// What memcached tells a watcher of changes, and which of them are others' doing.
#include "common/backend/change_log.h"

#include "tests/unit/catch.h"

namespace tandem::backend {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;
using kind = logged_change::kind;

constexpr std::int64_t begin_seconds = 1784000000;

instant at(std::int64_t second) {
  return {wall_time(seconds(begin_seconds + second)), steady_time(seconds(second))};
}

std::string stored(const std::string& key, int connection, const char* status = "stored") {
  return "ts=1784000000.7 gid=3 type=item_store key=" + key + " status=" + status +
         " cmd=set ttl=0 clsid=1 cfd=" + std::to_string(connection) + " size=5";
}

std::string removed(const std::string& key) {
  return "ts=1784000000.7 gid=4 type=deleted key=" + key + " cmd=delete clsid=1 size=5";
}

// A watch that knows its two connections, 11 and 12.
bypass_watch knowing() {
  bypass_watch watch(42, 2);
  watch.heard(read_log_line(stored(probe_key(42, 0), 11, "not_stored")), at(0));
  REQUIRE(!watch.knows_all());
  watch.heard(read_log_line(stored(probe_key(42, 1), 12, "not_stored")), at(0));
  REQUIRE(watch.knows_all());
  return watch;
}

}  // namespace

TEST_CASE("the lines of 1.6.18 and 1.6.45 are read") {
  const logged_change one = read_log_line(stored("a%20b", 27));
  CHECK(one.what == kind::stored);
  CHECK(one.happened);
  CHECK(one.key == "a b");
  CHECK(one.connection == 27);
  CHECK(one.at == wall_time(seconds(begin_seconds) + microseconds(7)));
  CHECK(!read_log_line(stored("k", 27, "exists")).happened);
  const logged_change gone = read_log_line(removed("k"));
  CHECK(gone.what == kind::removed);
  CHECK(gone.key == "k");
  CHECK(read_log_line("skipped=12").what == kind::skipped);
  CHECK(read_log_line("skipped=12").count == 12);
}

TEST_CASE("what is no such line tells of nothing") {
  for (const char* const line :
       {"", "OK", "ts=1.2 gid=3 type=conn_new rip=::1 rport=0 transport=local cfd=30",
        "ts= gid type=item_store", "type=item_store key=%zz cfd=1", "key=", "=",
        "type=deleted key=%"})
    CHECK(read_log_line(line).what == kind::other);
}

TEST_CASE("stores by the owner's connections are its own, others are counted") {
  bypass_watch watch = knowing();
  watch.heard(read_log_line(stored("k", 11)), at(1));
  watch.heard(read_log_line(stored("k", 12)), at(1));
  watch.heard(read_log_line(stored("k", 13, "not_stored")), at(1));
  CHECK(watch.bypassed() == 0);
  watch.heard(read_log_line(stored("k", 13)), at(1));
  CHECK(watch.bypassed() == 1);
}

TEST_CASE("before the owner's connections are known nothing is taken for others'") {
  bypass_watch watch(42, 2);
  watch.heard(read_log_line(stored("k", 11)), at(0));
  watch.heard(read_log_line(stored(probe_key(41, 0), 11)), at(0));
  CHECK(!watch.knows_all());
  CHECK(watch.bypassed() == 0);
}

TEST_CASE("a removal is another's if the owner still takes the older state for stored") {
  bypass_watch watch = knowing();
  for (const char* const key : {"older", "newer", "unknown"})
    watch.heard(read_log_line(removed(key)), at(1));
  const auto held = [](std::string_view key) -> std::optional<version> {
    if (key == "older") return version(version::ticks_at(at(-5).wall), 0);
    if (key == "newer") return version(version::ticks_at(at(1).wall), 0);
    return std::nullopt;
  };
  watch.look(at(1), held);
  CHECK(watch.bypassed() == 0);  // its own may not be known to it yet
  watch.look(at(2), held);
  CHECK(watch.bypassed() == 1);
  watch.look(at(3), held);
  CHECK(watch.bypassed() == 1);
}

TEST_CASE("removals that come faster than they are looked at are counted as left out") {
  bypass_watch watch = knowing();
  watch.heard(read_log_line("skipped=5"), at(0));
  for (int i = 0; i < 2000; ++i) watch.heard(read_log_line(removed("k")), at(0));
  CHECK(watch.skipped() == 5 + 2000 - 1024);
}

}  // namespace tandem::backend
