// The meta commands: every flag of every command, answered as memcached 1.6.45 does, to the byte.
#include "tests/unit/service_rows.h"

using namespace tandem::test;
using namespace std::literals;

namespace {

const std::string bad_token = "CLIENT_ERROR bad token in command line format\r\n";
const std::string large(20'000, 'v');

// An item with everything.
const std::string with_all = "ms k 5 F77 T100 E1234\r\nhello\r\n";
const std::string lone = "ms k 1\r\n5\r\n";

std::string words(unsigned count) {
  std::string text;
  for (unsigned i = 0; i < count; ++i) text += std::string(" ") + static_cast<char>('a' + i % 26);
  return text;
}

}  // namespace

TEST_CASE("mn and lines that are no meta command") {
  run_at_every_size({
      {"", "mn\r\n", "MN\r\n"},
      {"", "mn\n", "MN\r\n"},
      {"", "mn foo q\r\n", "MN\r\n"},
      {"", "mx foo\r\n", "ERROR\r\n"},
      {"", "m\r\n", bad_format},
      {"", "mg\r\nmd \r\nma\r\nme\r\n", bad_format + bad_format + bad_format + bad_format},
      {"", "ms\r\nms k\r\nms k abc\r\nms k -1\r\nms k 2147483646\r\n",
       bad_format + bad_format + bad_format + bad_format + bad_format},
      {"", "mg " + k251 + "\r\n", bad_format},
      {"", "md " + k251 + " v v\r\n", bad_format},
      {"", "me " + k251 + "\r\n", bad_format},
      {"", "ma " + k251 + "\r\n", "CLIENT_ERROR invalid or duplicate flag\r\n"},
      {"", "ms " + k251 + " 1\r\n1\r\nmn\r\n", bad_format + "MN\r\n"},
  });
}

TEST_CASE("bad flags") {
  const std::string invalid = "CLIENT_ERROR invalid flag\r\n";
  const std::string duplicate = "CLIENT_ERROR duplicate flag\r\n";
  const std::string either = "CLIENT_ERROR invalid or duplicate flag\r\n";
  const std::string many = "CLIENT_ERROR options flags are too long\r\n";
  run_at_every_size({
      {"", "mg k y\r\nmg k v 1\r\nmg k _\r\nmd k y\r\nms k 1 S1\r\n1\r\nmn\r\n",
       invalid + invalid + invalid + invalid + invalid + "MN\r\n"},
      {"", "mg k v v\r\nmd k q k q\r\nms k 1 T1 T1\r\n1\r\nmn\r\n",
       duplicate + duplicate + duplicate + "MN\r\n"},
      {"", "ma k y\r\nma k N0 N0\r\nma k D-1\r\nma k Dabc\r\nma k N0 Jabc\r\nma k Tx\r\n",
       either + either + either + either + either + either},
      // A byte that begins no flag: the line is not looked at any further, not for a block either.
      {"", "mg k \xc3\xa9\r\n", bad_format},
      {"", "mg k -\r\nmg k {\r\nme k !\r\n", bad_format + bad_format + bad_format},
      {"", "ms k 4 T0 ~\r\nbogus\r\n", bad_format + "ERROR\r\n"},
      {"", "mg k" + words(18) + "\r\n", "CLIENT_ERROR invalid flag\r\n"},
      {"", "mg k" + words(19) + "\r\n", many},
      {"", "mg k" + words(20) + " -\r\n", bad_format},
      {"", "mg k" + words(21) + " -\r\n", many},
      {"", "ms k 1" + words(18) + "\r\n1\r\nmn\r\n", many + "MN\r\n"},
      {"", "mg k Tabc\r\nmg k T\r\nmg k Nx\r\nmg k R1x\r\nmg k C\r\nmg k E-1\r\n",
       bad_token + bad_token + bad_token + bad_token + bad_token + bad_token},
      {"", "mg k T2147483648\r\nmg k C18446744073709551616\r\n", bad_token + bad_token},
      {"", "ms k 1 Fabc\r\n1\r\nms k 1 F4294967296\r\n1\r\nms k 1 F\r\n1\r\nmn\r\n",
       bad_format + bad_format + bad_format + "MN\r\n"},
      // Of several bad arguments the last one is told of, and a bad letter before any.
      {"", "mg k Tx Dx\r\nmg k Jx Tx\r\nmg k Tx Fx\r\nmg k Tx y\r\n",
       "CLIENT_ERROR invalid numeric delta value\r\n" + bad_token + bad_token + invalid},
      {"", "mg k Jx\r\n", "CLIENT_ERROR invalid numeric initial value\r\n"},
      {"", "mg k O" + std::string(31, 'o') + "\r\n", "EN O" + std::string(31, 'o') + "\r\n"},
      {"", "mg k q O" + std::string(32, 'o') + "\r\n", "CLIENT_ERROR opaque token too long\r\n"},
      {"", "ms k 1 O" + std::string(32, 'o') + "\r\n1\r\nmn\r\n",
       "CLIENT_ERROR opaque token too long\r\nMN\r\n"},
      {"", "ms k 1 Me\r\n1\r\nms k 1 M\r\n1\r\nms k 1 MX q\r\n1\r\nmn\r\n",
       "CLIENT_ERROR invalid mode for ms M token\r\nCLIENT_ERROR invalid mode for ms M token\r\n"
       "CLIENT_ERROR invalid mode for ms M token\r\nMN\r\n"},
      {"", "ma k Mincr\r\nma k M\r\n",
       "CLIENT_ERROR invalid mode for ma M token\r\nCLIENT_ERROR invalid mode for ma M token\r\n"},
  });
}

TEST_CASE("mg: what is returned, in the order it was asked for") {
  run_at_every_size({
      {"", "mg k v O1 k\r\nmg k v q\r\n", "EN O1 kk\r\n"},
      {with_all, "mg k\r\n", "HD\r\n"},
      {with_all, "mg k v\r\nmg k v q\r\n", "VA 5\r\nhello\r\nVA 5\r\nhello\r\n"},
      {with_all, "mg k k Oq1 s v t f c\r\n", "VA 5 kk Oq1 s5 t100 f77 c1234\r\nhello\r\n"},
      {with_all, "mg  k  c   f t  v\r\n", "VA 5 c1234 f77 t100\r\nhello\r\n"},
      {with_all, "mg k P1 Lfoo q I x D5 J6 F7 MZ\r\n", "HD\r\n"},
      {lone, "mg k t f\r\n", "HD t-1 f0\r\n"},
      {with_all, "mg k h l\r\nmg k h\r\n", "HD h0 l0\r\nHD h1\r\n"},
      {with_all, "mg k u h\r\nmg k h u\r\nmg k h\r\nmg k h\r\n",
       "HD h0\r\nHD h0\r\nHD h0\r\nHD h1\r\n"},
      {with_all, "mg k C1234 v c\r\nmg k C1 v c\r\nmg k C0 v\r\n",
       "HD c1234\r\nVA 5 c1234\r\nhello\r\nVA 5\r\nhello\r\n"},
      {with_all, "mg k T30 t\r\nmg k t T40\r\nmg k t\r\n", "HD t30\r\nHD t30\r\nHD t40\r\n"},
      {with_all, "mg k T0 t c\r\nmg k T-1 q\r\nmg k\r\n", "HD t-1 c1234\r\nHD\r\nEN\r\n"},
      {"ms k 20000 T9\r\n" + large + "\r\n", "mg k s t\r\nmg k t v\r\n",
       "HD s20000 t9\r\nVA 20000 t9\r\n" + large + "\r\n"},
  });
}

TEST_CASE("mg: created, won and stale items") {
  run_at_every_size({
      {"", "mg k N30 s v t\r\nmg k N30 v\r\n", "VA 0 s0 t30 W\r\n\r\nVA 0 Z\r\n\r\n"},
      {"", "mg k t N30 q\r\nmg k t\r\n", "HD t-1 W\r\nHD t30 Z\r\n"},
      {"", "mg k N30 T50 t\r\n", "HD t50 W\r\n"},
      {"", "mg k N30 E5000 c f h l k\r\nmg k c E7\r\n", "HD c5000 f0 h0 l0 kk W\r\nHD c5000 Z\r\n"},
      {"", "mg k N-1\r\nmg k N0 t\r\n", "HD W\r\nHD t-1 W\r\n"},
      {"ms k 1 T10\r\n1\r\n", "mg k R30 t v\r\nmg k R30\r\nmg k\r\n",
       "VA 1 t10 W\r\n1\r\nHD Z\r\nHD Z\r\n"},
      {"ms k 1 T100\r\n1\r\n", "mg k R30\r\nmg k R0\r\nmg k T20 R30\r\n", "HD\r\nHD\r\nHD W\r\n"},
      {lone, "mg k R30\r\nmg k N30\r\n", "HD\r\nHD\r\n"},
      {lone + "md k I\r\n", "mg k v\r\nmg k v\r\nget k\r\n",
       "VA 1 X W\r\n5\r\nVA 1 Z X\r\n5\r\nVALUE k 0 1\r\n5\r\nEND\r\n"},
      {lone + "md k I\r\nmg k\r\nmd k I\r\n", "mg k\r\n", "HD X W\r\n"},
      {lone + "md k I\r\nmg k\r\n", "touch k 10\r\nmg k t\r\nset k 0 0 1\r\n1\r\nmg k\r\n",
       "TOUCHED\r\nHD t10 Z X\r\nSTORED\r\nHD\r\n"},
  });
}

TEST_CASE("base64 keys") {
  const std::string stored = "ms S0VZ 1 b\r\n1\r\n";
  run_at_every_size({
      {stored, "mg S0VZ b v k\r\nmg KEY v k\r\nget KEY\r\n",
       "VA 1 kS0VZ b\r\n1\r\nVA 1 kS0VZ b\r\n1\r\nVALUE KEY 0 1\r\n1\r\nEND\r\n"},
      {stored, "mg S0VZ! v b\r\nmg S0VZ v\r\n", "VA 1\r\n1\r\nEN\r\n"},
      {"", "mg S0VZMQ== b k O7\r\nmg S0VZM! k b\r\n",
       "EN kS0VZMQ== b O7\r\nCLIENT_ERROR error decoding key\r\n"},
      {"", "ms abc 1 b\r\n1\r\nmn\r\n", "CLIENT_ERROR error decoding key\r\nMN\r\n"},
      {"", "ms dG9vIGxvbmc= 2 b k\r\nhi\r\nmg dG9vIGxvbmc= b v k\r\n",
       "HD kdG9vIGxvbmc= b\r\nVA 2 kdG9vIGxvbmc= b\r\nhi\r\n"},
      {"", "ms S0VZ 20000 k b s\r\n" + large + "\r\n", "HD kS0VZ b s20000\r\n"},
      {stored, "ma S0VZ b v k\r\nmd S0VZ b k\r\nmd S0VZ b k\r\n",
       "VA 1 kS0VZ b\r\n2\r\nHD kS0VZ b\r\nNF kS0VZ b\r\n"},
      // However it is changed, its key may hold what no line can.
      {stored, "ms KEY 1 MA\r\n2\r\nincr KEY 1\r\nmd KEY x\r\nmg KEY k v\r\n",
       "HD\r\n13\r\nHD\r\nVA 0 kS0VZ b\r\n\r\n"},
      {stored, "set KEY 0 0 1\r\n1\r\nmg KEY k\r\n", "STORED\r\nHD kKEY\r\n"},
  });
}

TEST_CASE("ms") {
  run_at_every_size({
      {"", "ms k 1\r\n1\r\nms k 0\r\n\r\nmg k v s\r\n", "HD\r\nHD\r\nVA 0 s0\r\n\r\n"},
      {"", "ms k 1 q\r\n1\r\nms k 1 q ME\r\n1\r\nms k 1 q C1\r\n1\r\nms l 1 C1 q\r\n1\r\n",
       "NS\r\nEX\r\nNF\r\n"},
      {"", "ms k 1 E5 k O5 c s\r\n1\r\nms k 2 s c E6 O k\r\n12\r\n",
       "HD kk O5 c5 s1\r\nHD s2 c6 O kk\r\n"},
      {"", "ms k 1 F123 T100\r\n1\r\nmg k f t\r\n", "HD\r\nHD f123 t100\r\n"},
      {"", "ms k 1 T-1\r\n1\r\nmg k\r\n", "HD\r\nEN\r\n"},
      {with_all, "ms k 1 C1234 E9\r\n1\r\nms k 1 C1234 c k O9\r\n2\r\nms k 1 C9 MR c E8\r\n3\r\n",
       "HD\r\nEX c0 kk O9\r\nHD c8\r\n"},
      {with_all, "ms k 1 C0\r\n1\r\nms k 1 C0 I\r\n1\r\n", "EX\r\nEX\r\n"},
      {"", "ms k 1 ME\r\n1\r\nms k 1 ME C5\r\n2\r\nms k 1 MR\r\n3\r\nms l 1 MR\r\n4\r\nmg k v\r\n",
       "HD\r\nNS\r\nHD\r\nNS\r\nVA 1\r\n3\r\n"},
      {"", "ms k 1 MS\r\n1\r\nms k 1 MSet\r\n2\r\nmg k v\r\n", "HD\r\nHD\r\nVA 1\r\n2\r\n"},
      {"",
       "ms k 1 MA\r\n1\r\nms k 2 MA N30 F7 T9\r\nab\r\nms k 2 MA s T99\r\ncd\r\nms k 1 MP "
       "s\r\n0\r\n"
       "mg k v f t\r\n",
       "NS\r\nHD\r\nHD s4\r\nHD s5\r\nVA 5 f7 t30\r\n0abcd\r\n"},
      {with_all,
       "ms k 1 MA C5\r\n1\r\nms k 1 MA C1234 E6 c\r\n1\r\nms k 1 MP C6\r\n0\r\nmg k v f t\r\n",
       "EX\r\nHD c6\r\nHD\r\nVA 7 f77 t100\r\n0hello1\r\n"},
      {with_all, "ms k 1 I C9 T50 F3 E10\r\n2\r\nmg k v t f c\r\nms k 1 I C99 q\r\n3\r\n",
       "HD\r\nVA 1 t100 f3 c10 X W\r\n2\r\nEX\r\n"},
      {with_all + "md k I E20\r\nmg k\r\n", "ms k 1 I C5\r\n2\r\nmg k v\r\n",
       "HD\r\nVA 1 Z X\r\n2\r\n"},
      {with_all + "md k I E20\r\nmg k\r\n", "ms k 1 C20\r\n2\r\nmg k v\r\n", "HD\r\nVA 1\r\n2\r\n"},
      {"", "ms k 1 I\r\n1\r\nmg k v\r\n", "HD\r\nVA 1\r\n1\r\n"},
      {with_all, "ms k 2 q\r\nabXYmn\r\nmg k s\r\n",
       "CLIENT_ERROR bad data chunk\r\nMN\r\nHD s5\r\n"},
      {with_all,
       "ms k 20000 s q c\r\n" + large + "\r\nms k 20000 s MA E3 c\r\n" + large + "\r\nmg k s\r\n",
       "HD s40000 c3\r\nHD s40000\r\n"},
      {lone, "ms k 2000000 ME q\r\n" + std::string(2'000'000, 'x') + "\r\nmg k\r\n",
       "SERVER_ERROR object too large for cache\r\nEN\r\n"},
  });
}

TEST_CASE("md") {
  run_at_every_size({
      {"", "md k\r\nmd k q k O3\r\n", "NF\r\nNF kk O3\r\n"},
      {with_all, "md k O3 k\r\nmg k\r\n", "HD O3 kk\r\nEN\r\n"},
      {with_all, "md k q\r\nmg k\r\n", "EN\r\n"},
      {with_all, "md k C5 q k\r\nmd k C0\r\nmd k C1234\r\n", "EX kk\r\nEX\r\nHD\r\n"},
      {with_all, "md k T30\r\nmg k\r\n", "HD\r\nEN\r\n"},
      {with_all, "md k I T30 q\r\nmg k s v f t\r\nmg k\r\n",
       "VA 5 s5 f77 t30 X W\r\nhello\r\nHD Z X\r\n"},
      {with_all, "md k I E777\r\nmg k c t v\r\n", "HD\r\nVA 5 c777 t100 X W\r\nhello\r\n"},
      {with_all, "md k x\r\nmg k v f t c\r\n", "HD\r\nVA 0 f0 t-1 c1234\r\n\r\n"},
      {with_all, "md k x F3 T9 E8\r\nmg k v f t c\r\n", "HD\r\nVA 0 f3 t9 c8\r\n\r\n"},
      {with_all, "md k I x T30\r\nmg k v t\r\nmg k C1234\r\n",
       "HD\r\nVA 0 t30 X W\r\n\r\nHD Z X\r\n"},
      {"ms k 20000\r\n" + large + "\r\n", "md k I E4\r\nmg k s c\r\nmg k v\r\n",
       "HD\r\nHD s20000 c4 X W\r\nVA 20000 Z X\r\n" + large + "\r\n"},
  });
}

TEST_CASE("ma") {
  const std::string not_a_number =
      "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
  run_at_every_size({
      {"", "ma k\r\nma k q k O4\r\nma k J13 v\r\n", "NF\r\nNF kk O4\r\nNF\r\n"},
      {lone, "ma k\r\nget k\r\n", "HD\r\nVALUE k 0 1\r\n6\r\nEND\r\n"},
      {lone, "ma k v k O4 t E7 c\r\n", "VA 1 kk O4 t-1 c7\r\n6\r\n"},
      {lone, "ma k q\r\nma k q v\r\nma k v\r\n", "VA 1\r\n8\r\n"},
      {lone,
       "ma k D10 v\r\nma k MD D3 v\r\nma k M- v\r\nma k M+ v\r\nma k MI v\r\nma k MD D99 v\r\n",
       "VA 2\r\n15\r\nVA 2\r\n12\r\nVA 2\r\n11\r\nVA 2\r\n12\r\nVA 2\r\n13\r\nVA 1\r\n0\r\n"},
      {"ms k 20\r\n18446744073709551615\r\n", "ma k v\r\nmg k v\r\n",
       "VA 1\r\n0\r\nVA 20\r\n0                   \r\n"},
      {with_all, "ma k q\r\nma k C5\r\n", not_a_number + "EX\r\n"},
      {"ms k 0\r\n\r\n", "ma k C5\r\n", not_a_number},
      {"ms k 20000\r\n" + large + "\r\n", "ma k C5\r\n", not_a_number},
      {"", "ma k N30 J13 v t\r\nma k N60 J13 v t\r\nma k T300 t v\r\nma k t T30\r\nmg k t\r\n",
       "VA 2 t30\r\n13\r\nVA 2 t30\r\n14\r\nVA 2 t300\r\n15\r\nHD t300\r\nHD t30\r\n"},
      {"", "ma k N0 v c E5\r\nma k t N30 q\r\nma k v\r\n", "VA 1 c5\r\n0\r\nVA 1\r\n2\r\n"},
      {"", "ma k t N30 T50\r\nmg k t\r\n", "HD t-1\r\nHD t50\r\n"},
      {"ms k 1 E9\r\n5\r\n", "ma k C8 v k\r\nma k C0 E10\r\nma k C10 c E11 v\r\n",
       "EX kk\r\nHD\r\nVA 1 c11\r\n7\r\n"},
      {lone + "md k I\r\nmg k\r\n", "ma k v\r\nmg k v\r\n", "VA 1\r\n6\r\nVA 1 Z X\r\n6\r\n"},
  });
}

TEST_CASE("me") {
  run_at_every_size({
      {"", "me k\r\nme k b\r\n", "EN\r\n" + bad_format},
      {with_all, "me k\r\n", "ME k exp=100 la=0 cas=1234 fetch=no cls=1 size=69\r\n"},
      {"ms S0VZ 1 b E1\r\n1\r\nmg KEY\r\n", "me S0VZ b\r\nme KEY\r\nme S0VZ\r\n",
       "ME S0VZ exp=-1 la=0 cas=1 fetch=yes cls=1 size=63\r\n"
       "ME S0VZ exp=-1 la=0 cas=1 fetch=yes cls=1 size=63\r\nEN\r\n"},
  });
}
