// What memcached 1.6.45 answers to the byte, and where we differ from it on purpose.
#include "tests/unit/service_rows.h"

using namespace tandem::test;
using namespace std::literals;

namespace {

std::string x(std::size_t count, char c) {
  return std::string(count, c);
}

const std::string k250 = x(250, 'k');

}  // namespace

TEST_CASE("keys") {
  run_at_every_size({
      {"", "set " + k250 + " 0 0 1\r\n1\r\n", "STORED\r\n"},
      {"set " + k250 + " 0 0 1\r\n1\r\n", "get " + k250 + "\r\n",
       "VALUE " + k250 + " 0 1\r\n1\r\nEND\r\n"},
      {"", "set " + k251 + " 0 0 1\r\n1\r\n", bad_format},
      {"", "get " + k251 + "\r\n", bad_format},
      {"set kl1 0 0 1\r\n1\r\n", "get kl1 " + k251 + "\r\n", bad_format},
      {"", "gets " + k251 + "\r\n", bad_format},
      {"", "gat 10 " + k251 + "\r\n", bad_format},
      {"", "delete " + k251 + "\r\n", bad_format},
      {"", "incr " + k251 + " 1\r\n", bad_format},
      {"", "touch " + k251 + " 1\r\n", bad_format},
      {"", "set a\x01z 0 0 1\r\n1\r\nget a\x01z\r\n", "STORED\r\nVALUE a\x01z 0 1\r\n1\r\nEND\r\n"},
      {"", "set \x7fkey 0 0 1\r\n1\r\nget \x7fkey\r\n",
       "STORED\r\nVALUE \x7fkey 0 1\r\n1\r\nEND\r\n"},
      {"", "set caf\xc3\xa9 0 0 1\r\n1\r\nget caf\xc3\xa9\r\n",
       "STORED\r\nVALUE caf\xc3\xa9 0 1\r\n1\r\nEND\r\n"},
      {"", "set a\tb 0 0 1\r\n1\r\nget a\tb\r\n", "STORED\r\nVALUE a\tb 0 1\r\n1\r\nEND\r\n"},
      {"", "set a\0b 0 0 1\r\n1\r\nget a\0b\r\n"s, "STORED\r\nVALUE a\0b 0 1\r\n1\r\nEND\r\n"s},
      {"", "set a\rb 0 0 1\r\n1\r\nget a\rb\r\n", "STORED\r\nVALUE a\rb 0 1\r\n1\r\nEND\r\n"},
  });
}

TEST_CASE("the form of lines") {
  const std::string lf1 = "set lf1 0 0 1\r\n1\r\n";
  const std::string hit = "VALUE lf1 0 1\r\n1\r\nEND\r\n";
  std::vector<row> rows = {
      {lf1, "get lf1\n", hit},
      {"", "set lf2 0 0 1\n1\r\n", "STORED\r\n"},
      {"", "set lf3 0 0 1\r\n1\n", ""},
      {"", "set lf4 0 0 1\r\n1\nX", "CLIENT_ERROR bad data chunk\r\n"},
      {"", "version\n", "VERSION 1.6.45-memtandem-" MEMTANDEM_VERSION "\r\n"},
      {lf1, "  get lf1\r\n", hit},
      {lf1, "get   lf1\r\n", hit},
      {lf1, "get lf1 \r\n", hit},
      {"", "GET lf1\r\n", "ERROR\r\n"},
      {"", "gat abc lf1\r\n", "CLIENT_ERROR invalid exptime argument\r\n"},
      {"", "set lfs abc 0 1\r\n1\r\n", bad_format},
      {"", "set lfs 0 abc 1\r\n1\r\n", bad_format},
      {"", "set lfs 0 0 1 extra\r\n1\r\n", "STORED\r\n"},
      {"", "set lfs 0 0 1 noreply extra\r\n1\r\n", "STORED\r\n"},
      {"", "boguscommand\r\n", "ERROR\r\n"},
      {"", "boguscommand noreply\r\n", ""},
      {"", "get a\r\n\r\nget b\r\n", "END\r\n" + bad_format + "END\r\n"},
      {"", "GET / HTTP/1.0\r\n\r\n", "", true},
      {"", "POST / HTTP/1.1\r\n", "", true},
      {"", "\x80\0\0\0"s, "", true},
      {"", "version\r\n\x80\r\n",
       "VERSION 1.6.45-memtandem-" MEMTANDEM_VERSION "\r\n" + bad_format},
      {"", x(2049, 'x'), "", true},
      {"", x(1000, 'x'), ""},
      {"", "get " + x(3000, 'y') + "\r\n", bad_format},
      {"", "set " + x(3000, 'z') + " 0 0 1\r\n1\r\n", "", true},
      {lf1, "get" + x(2100, ' ') + "lf1\r\n", hit},
  };
  for (const auto line : {"\r\n", "\n", " \r\n", "   \r\n", "get\r\n", "gets\r\n", "get \r\n",
                          "gat\r\n", "gat 10\r\n", "set\r\n", "set lfs\r\n", "set lfs 0 0\r\n",
                          "set lfs 0 0 abc\r\n", "set lfs 0 0 -1\r\n"})
    rows.push_back({"", line, bad_format});
  run_at_every_size(rows);
}

TEST_CASE("storage") {
  run_at_every_size({
      {"", "set s1 0 0 5\r\nhello\r\n", "STORED\r\n"},
      {"", "set s0 0 0 0\r\n\r\nget s0\r\n", "STORED\r\nVALUE s0 0 0\r\n\r\nEND\r\n"},
      {"", "set sb 0 0 4\r\na\r\nb\r\nget sb\r\n", "STORED\r\nVALUE sb 0 4\r\na\r\nb\r\nEND\r\n"},
      {"", "set sf 4294967295 0 1\r\n1\r\nget sf\r\n",
       "STORED\r\nVALUE sf 4294967295 1\r\n1\r\nEND\r\n"},
      {"", "set sf2 4294967296 0 1\r\n1\r\nget sf2\r\n", "STORED\r\nVALUE sf2 0 1\r\n1\r\nEND\r\n"},
      {"", "set sf3 -1 0 1\r\n1\r\n", bad_format},
      {"", "add s2 0 0 1\r\n1\r\nadd s2 0 0 1\r\n2\r\n", "STORED\r\nNOT_STORED\r\n"},
      {"", "replace s3 0 0 1\r\n1\r\n", "NOT_STORED\r\n"},
      {"set s1 0 0 1\r\n1\r\n", "replace s1 7 0 2\r\nhi\r\nget s1\r\n",
       "STORED\r\nVALUE s1 7 2\r\nhi\r\nEND\r\n"},
      {"", "append s4 0 0 1\r\n1\r\n", "NOT_STORED\r\n"},
      {"", "prepend s4 0 0 1\r\n1\r\n", "NOT_STORED\r\n"},
      {"set s5 7 0 3\r\nmid\r\n",
       "append s5 99 100 3\r\nend\r\nget s5\r\nprepend s5 98 0 3\r\nbeg\r\nget s5\r\n",
       "STORED\r\nVALUE s5 7 6\r\nmidend\r\nEND\r\nSTORED\r\nVALUE s5 7 9\r\nbegmidend\r\nEND\r\n"},
      {"", "set s7 0 0 3\r\nabcdef\r\n", "CLIENT_ERROR bad data chunk\r\n" + bad_format},
      {"", "set s7 0 0 3\r\nabcdefgh\r\n", "CLIENT_ERROR bad data chunk\r\nERROR\r\n"},
      {"set s8 0 0 1\r\n1\r\nset s8 0 0 1\r\nabc\r\n", "get s8\r\n",
       "VALUE s8 0 1\r\n1\r\nEND\r\n"},
      {"", "set s9 0 0 10\r\nabc\r\n", ""},
      {"", "set s10 0 0 10 noreply\r\nabcdefghijXX\r\n", bad_format},
      {"", "set s16 0 0 2147483646\r\n", bad_format},
      {"", "set s16 0 0 2147483647\r\n", bad_format},
      {"", "set s16 0 0 2147483645\r\nversion\r\n", ""},
      {"", "set s16 0 0 4294967296\r\n", bad_format},
      {"", "set s17 0 0 1 noreply\r\n1\r\nget s17\r\n", "VALUE s17 0 1\r\n1\r\nEND\r\n"},
      {"", "set  s18   0  0 1\r\n1\r\nget s18\r\n", "STORED\r\nVALUE s18 0 1\r\n1\r\nEND\r\n"},
      {"", "set s19 0 0 01\r\n1\r\nget s19\r\n", "STORED\r\nVALUE s19 0 1\r\n1\r\nEND\r\n"},
      {"", "set s20 +1 0 +1\r\n1\r\nget s20\r\n", bad_format + bad_format + "END\r\n"},
      {"", "set s21 +1 0 1\r\n1\r\nget s21\r\n", "STORED\r\nVALUE s21 1 1\r\n1\r\nEND\r\n"},
  });
}

TEST_CASE("values near and over the size limit") {
  const std::string too_large = "SERVER_ERROR object too large for cache\r\n";
  const std::string big = x(2000000, 'x') + "\r\n";
  run_at_every_size({
      {"", "set s11 0 0 1048576\r\n" + x(1048576, 'x') + "\r\n", too_large},
      {"set s12 0 0 1\r\n1\r\n", "set s12 0 0 2000000\r\n" + big + "get s12\r\n",
       too_large + "END\r\n"},
      {"set s13 0 0 1\r\n1\r\n", "add s13 0 0 2000000\r\n" + big + "get s13\r\n",
       too_large + "VALUE s13 0 1\r\n1\r\nEND\r\n"},
      {"", "set s14 0 0 2000000 noreply\r\n" + big, ""},
      {"", "set s15 0 0 1048300\r\n" + x(1048300, 'x') + "\r\n", "STORED\r\n"},
      {"", "set s16b 0 0 2000000\r\n" + x(1000, 'x'), ""},
      {"set s17 0 0 1\r\n1\r\n", "set s17 0 0 1073741824\r\n" + x(5000, '\n') + "version\r\n", ""},
  });
}

TEST_CASE("noreply") {
  const std::string nr5 = "set nr5 0 0 1\r\n1\r\n";
  run_at_every_size({
      {"", "set nr1 abc 0 1 noreply\r\n1\r\n", ""},
      {"", "set nr1 0 0 noreply\r\n", bad_format},
      {"", "set " + k251 + " 0 0 1 noreply\r\n1\r\n", ""},
      {"", "add n 0 0 1 noreply\r\n1\r\nadd n 0 0 1 noreply\r\n2\r\nget n\r\n",
       "VALUE n 0 1\r\n1\r\nEND\r\n"},
      {"set nr3 0 0 1\r\na\r\n", "incr nr3 1 noreply\r\n", ""},
      {"", "incr nr3 abc noreply\r\n", ""},
      {"set nr4 0 0 1\r\n1\r\n", "delete nr4 noreply\r\nget nr4\r\n", "END\r\n"},
      {"", "touch nr5 noreply\r\n", ""},
      {nr5, "touch nr5 10 noreply\r\nget nr5\r\n", "VALUE nr5 0 1\r\n1\r\nEND\r\n"},
      {nr5, "get nr5 noreply\r\n", "VALUE nr5 0 1\r\n1\r\nEND\r\n"},
      {"set nr7 0 0 1\r\n1\r\n", "cas nr7 0 0 1 999999 noreply\r\n2\r\nget nr7\r\n",
       "VALUE nr7 0 1\r\n1\r\nEND\r\n"},
      {"", "version noreply\r\n", "VERSION 1.6.45-memtandem-" MEMTANDEM_VERSION "\r\n"},
      {"", "stats noreply\r\n", "ERROR\r\n"},
      {"", "verbosity noreply\r\n", ""},
      {"", "verbosity 0 noreply\r\n", ""},
      {"", "cache_memlimit 16 noreply\r\n", ""},
  });
}

TEST_CASE("exptimes") {
  const std::string stored_gone = "STORED\r\nEND\r\n";
  const auto stored_there = [](std::string key) {
    return "STORED\r\nVALUE " + key + " 0 1\r\n1\r\nEND\r\n";
  };
  run_at_every_size({
      {"", "set e1 0 -1 1\r\n1\r\nget e1\r\n", stored_gone},
      {"", "set e2 0 -2147483648 1\r\n1\r\nget e2\r\n", stored_gone},
      {"", "set e3 0 2147483647 1\r\n1\r\nget e3\r\n", stored_there("e3")},
      {"", "set e3 0 2147483648 1\r\n1\r\nget e3\r\n", stored_gone},
      {"", "set e3 0 4294967296 1\r\n1\r\nget e3\r\n", stored_there("e3")},
      {"set e3 0 0 1\r\n1\r\n", "touch e3 4294967296\r\n",
       "CLIENT_ERROR invalid exptime argument\r\n"},
      {"", "set e4 0 2592000 1\r\n1\r\nget e4\r\n", stored_there("e4")},
      {"", "set e5 0 2592001 1\r\n1\r\nget e5\r\n", stored_gone},
      {"", "set e6 0 2000000000 1\r\n1\r\nget e6\r\n", stored_there("e6")},
      {"", "set e7 0 1000000000 1\r\n1\r\nget e7\r\n", stored_gone},
      {"set e9 0 0 1\r\n1\r\n", "touch e9 -1\r\nget e9\r\n", "TOUCHED\r\nEND\r\n"},
      {"set e11 0 0 1\r\n1\r\n", "gat -1 e11\r\nget e11\r\n",
       "VALUE e11 0 1\r\n1\r\nEND\r\nEND\r\n"},
      {"set e12 0 0 1\r\n0\r\n", "set e12 0 -1 1\r\n1\r\nget e12\r\n", stored_gone},
      {"set e14 0 -1 1\r\n1\r\n", "add e14 0 0 1\r\n2\r\n", "STORED\r\n"},
      {"set e15 0 -1 1\r\n1\r\n", "replace e15 0 0 1\r\n2\r\n", "NOT_STORED\r\n"},
      {"set e16 0 -1 1\r\n1\r\n", "incr e16 1\r\n", "NOT_FOUND\r\n"},
  });
}

TEST_CASE("retrieval and touch") {
  const std::string r1 = "set r1 5 0 2\r\nhi\r\n";
  const std::string hit = "VALUE r1 5 2\r\nhi\r\n";
  run_at_every_size({
      {"", "get miss1\r\n", "END\r\n"},
      {r1, "get miss1 miss2 r1\r\n", hit + "END\r\n"},
      {r1, "get r1 r1\r\n", hit + hit + "END\r\n"},
      {r1 + "set r2 0 0 1\r\n2\r\n", "gat 100 r1 r2 miss\r\n",
       hit + "VALUE r2 0 1\r\n2\r\nEND\r\n"},
      {r1, "gat 0 r1\r\n", hit + "END\r\n"},
      {"", "gat 100 miss\r\n", "END\r\n"},
      {r1, "touch r1 100\r\n", "TOUCHED\r\n"},
      {"", "touch miss 100\r\n", "NOT_FOUND\r\n"},
      {"", "touch r1\r\n", bad_format},
      {"", "touch r1 abc\r\n", "CLIENT_ERROR invalid exptime argument\r\n"},
      {r1, "touch r1 10 20\r\n", "TOUCHED\r\n"},
  });
}

TEST_CASE("cas that cannot match, and delete") {
  const std::string c1 = "set c1 0 0 1\r\n1\r\n";
  const std::string bad_delete =
      "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n";
  run_at_every_size({
      {"", "cas c1 0 0 1 1\r\n1\r\n", "NOT_FOUND\r\n"},
      {c1, "cas c1 0 0 1 999999999\r\n2\r\n", "EXISTS\r\n"},
      {"", "cas c1 0 0 1\r\n", ""},
      {"", "cas c1 0 0 1 \r\n1\r\n", bad_format},
      {"", "cas c1 0 0 1 abc\r\n1\r\n", bad_format},
      {"", "cas c1 0 0 1 -1\r\n1\r\n", bad_format},
      {c1, "cas c1 0 0 1 18446744073709551615\r\n1\r\n", "EXISTS\r\n"},
      {c1, "cas c1 0 0 1 18446744073709551616\r\n1\r\n", bad_format},
      {c1, "cas c1 0 0 1 0\r\n2\r\n", "EXISTS\r\n"},
      {c1, "delete c1\r\ndelete c1\r\n", "DELETED\r\nNOT_FOUND\r\n"},
      {"", "delete\r\n", bad_format},
      {c1, "delete c1 0\r\n", "DELETED\r\n"},
      {c1, "delete c1 10\r\n", bad_delete},
      {c1, "delete c1 0 noreply\r\nget c1\r\n", "END\r\n"},
      {c1, "delete c1 10 noreply\r\nget c1\r\n", "VALUE c1 0 1\r\n1\r\nEND\r\n"},
      {c1, "delete c1 foo\r\n", bad_delete},
      {"", "delete a b c d e\r\n", bad_delete},
  });
}

TEST_CASE("incr and decr") {
  const auto value = [](std::string text) {
    return "set i 3 0 " + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  };
  const auto holds = [](std::string text) {
    return "VALUE i 3 " + std::to_string(text.size()) + "\r\n" + text + "\r\nEND\r\n";
  };
  const std::string bad_value = "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
  const std::string bad_delta = "CLIENT_ERROR invalid numeric delta argument\r\n";
  run_at_every_size({
      {"", "incr i 1\r\n", "NOT_FOUND\r\n"},
      {"", "decr i 1\r\n", "NOT_FOUND\r\n"},
      {value("10"), "incr i 5\r\nget i\r\n", "15\r\n" + holds("15")},
      {value("10"), "decr i 5\r\nget i\r\n", "5\r\n" + holds("5 ")},
      {value("1000"), "decr i 1\r\nget i\r\n", "999\r\n" + holds("999 ")},
      {value("99"), "incr i 1\r\nget i\r\n", "100\r\n" + holds("100")},
      {value("0005"), "incr i 1\r\nget i\r\n", "6\r\n" + holds("6   ")},
      {value("10"), "decr i 100\r\n", "0\r\n"},
      {value("18446744073709551615"), "incr i 1\r\n", "0\r\n"},
      {value("5"), "incr i 18446744073709551615\r\n", "4\r\n"},
      {value("5"), "incr i 18446744073709551616\r\n", bad_delta},
      {value("abc"), "incr i 1\r\n", bad_value},
      {value("-5"), "incr i 1\r\n", bad_value},
      {value("5ab"), "incr i 1\r\n", bad_value},
      {value("5 "), "incr i 1\r\n", "6\r\n"},
      {value(" 5"), "incr i 1\r\n", "6\r\n"},
      {value(""), "incr i 1\r\n", bad_value},
      {value("000000000000000000001"), "incr i 1\r\n", "2\r\n"},
      {value("99999999999999999999"), "incr i 1\r\n", bad_value},
      {"", "incr i\r\n", bad_format},
      {"", "incr\r\n", bad_format},
      {value("5"), "incr i abc\r\n", bad_delta},
      {value("5"), "incr i -1\r\n", bad_delta},
      {value("5"), "incr i 1 2\r\n", "6\r\n"},
      {value("5"), "incr i 0\r\n", "5\r\n"},
  });
}

TEST_CASE("flush_all and the rest") {
  const std::string f1 = "set f1 0 0 1\r\n1\r\n";
  const std::string version = "VERSION 1.6.45-memtandem-" MEMTANDEM_VERSION "\r\n";
  run_at_every_size({
      {f1, "flush_all\r\nget f1\r\n", "OK\r\nEND\r\n"},
      {f1, "flush_all 0\r\nget f1\r\n", "OK\r\nEND\r\n"},
      {f1, "flush_all noreply\r\nget f1\r\n", "END\r\n"},
      {f1, "flush_all 0 noreply\r\nget f1\r\n", "END\r\n"},
      {"", "flush_all abc\r\n", "CLIENT_ERROR invalid exptime argument\r\n"},
      {"", "flush_all abc noreply\r\n", ""},
      {f1, "flush_all -10\r\nget f1\r\n", "OK\r\nEND\r\n"},
      {f1, "flush_all 2\r\nget f1\r\n", "OK\r\nVALUE f1 0 1\r\n1\r\nEND\r\n"},
      {"", "flush_all\r\nset f1 0 0 1\r\n1\r\nget f1\r\n",
       "OK\r\nSTORED\r\nVALUE f1 0 1\r\n1\r\nEND\r\n"},
      {"", "flush_all 1 2\r\n", "OK\r\n"},
      {"", "version foo\r\n", version},
      {"", "verbosity\r\n", bad_format},
      {"", "verbosity 1\r\n", "OK\r\n"},
      {"", "verbosity 99\r\nverbosity 0\r\n", "OK\r\nOK\r\n"},
      {"", "verbosity abc\r\n", bad_format},
      {"", "verbosity foo bar my\r\n", bad_format},
      {"", "verbosity 0 0\r\n", "OK\r\n"},
      {"", "quit\r\n", "", true},
      {"", "version\r\nquit\r\nversion\r\n", version, true},
      {"", "quit foo\r\n", "", true},
      {"", "quit noreply\r\n", "", true},
      {"", "shutdown\r\n", "SERVER_ERROR: shutdown not enabled\r\n"},
      {"", "cache_memlimit 16\r\n", "OK\r\n"},
      {"", "cache_memlimit\r\n", "ERROR\r\n"},
      {"", "cache_memlimit abc\r\n", "ERROR\r\n"},
      {"", "cache_memlimit 1\r\n", "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n"},
      {"", "cache_memlimit 2000000000\r\n",
       "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n"},
      {"", "cache_memlimit 17\r\n", "OK\r\n"},
      {"", "cache_memlimit 9000000\r\n",
       "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n"},
      {"", "config get cluster\r\n", "ERROR\r\n"},
      {"", "sasl_auth foo\r\n", "ERROR\r\n"},
      {"", "stats reset\r\n", "RESET\r\n"},
      {"", "stats foo\r\n", "ERROR\r\n"},
      {"", "stats res\r\n", "ERROR\r\n"},
      {"", "stats malloc\r\n", "ERROR\r\n"},
      {"", "stats detail\r\n", "CLIENT_ERROR usage: stats detail on|off|dump\r\n"},
      {"", "stats sizes\r\n", "STAT sizes_status disabled\r\nEND\r\n"},
      {"", "stats cachedump\r\n", "CLIENT_ERROR bad command line\r\n"},
      {"", "stats cachedump 1\r\n", "CLIENT_ERROR bad command line\r\n"},
      {"", "stats cachedump 63 0\r\n", "END\r\n"},
      {"", "stats cachedump 64 0\r\n", "CLIENT_ERROR Illegal slab id\r\n"},
      {"", "stats cachedump a b\r\n", bad_format},
      {f1, "stats cachedump 1 10\r\n", "ITEM f1 [1 b; 0 s]\r\nEND\r\n"},
      {"",
       "stats detail on\r\nset sd:1 0 0 1\r\n1\r\nget sd:1\r\nget sd:2\r\ndelete sd:1\r\n"
       "stats detail dump\r\nstats detail off\r\nstats reset\r\nstats detail dump\r\n",
       "OK\r\nSTORED\r\nVALUE sd:1 0 1\r\n1\r\nEND\r\nEND\r\nDELETED\r\n"
       "PREFIX sd get 2 hit 1 set 1 del 1\r\nEND\r\nOK\r\nRESET\r\nEND\r\n"},
      {"", "set p1 0 0 1\r\n1\r\nget p1\r\nincr p1 1\r\ndelete p1\r\nget p1\r\nversion\r\n",
       "STORED\r\nVALUE p1 0 1\r\n1\r\nEND\r\n2\r\nDELETED\r\nEND\r\n" + version},
      {"", "bogus\r\nset p5 0 0 1\r\n1\r\n", "ERROR\r\nSTORED\r\n"},
  });
}
