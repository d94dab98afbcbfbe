#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "common/base/endian.h"
#include "common/replication/frame.h"
#include "common/replication/hello.h"
#include "common/replication/record_codec.h"
#include "tests/unit/catch.h"

using namespace tandem;
using namespace tandem::replication;

namespace {

std::string three_frames() {
  std::string bytes;
  append_frame(bytes, frame_type::hello, 0, "hello");
  append_frame(bytes, frame_type::accept, 1, "");
  append_frame(bytes, frame_type::records, 2, std::string(3000, 'r'));
  return bytes;
}

// Feeds `bytes` in pieces of `size`; the payloads that came out, or the reason for an error.
struct reading {
  std::vector<std::string> payloads;
  std::string error;
};
reading read_in_pieces(std::string_view bytes, std::size_t size) {
  frame_reader reader;
  reading result;
  while (!bytes.empty()) {
    reader.feed(bytes.substr(0, size));
    bytes.remove_prefix(std::min(size, bytes.size()));
    for (frame f{};;) {
      const auto status = reader.next(f);
      if (status == frame_reader::status::need_more) break;
      if (status == frame_reader::status::error) {
        result.error = reader.reason();
        return result;
      }
      result.payloads.emplace_back(f.payload);
    }
  }
  return result;
}

}  // namespace

TEST_CASE("frames come out the same at every fragment size") {
  const std::string bytes = three_frames();
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    const reading r = read_in_pieces(bytes, size);
    REQUIRE(r.error.empty());
    REQUIRE(r.payloads.size() == 3);
    REQUIRE(r.payloads[2] == std::string(3000, 'r'));
  }
}

TEST_CASE("a flipped bit anywhere is noticed before the frame is believed") {
  const std::string good = three_frames();
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    const reading r = read_in_pieces(bad, bad.size());
    // A longer length may leave the reader waiting for bytes that never come; nothing wrong passes.
    for (std::size_t i = 0; i < r.payloads.size(); ++i)
      REQUIRE(r.payloads[i] == read_in_pieces(good, good.size()).payloads[i]);
    REQUIRE((!r.error.empty() || r.payloads.size() < 3));
  }
}

TEST_CASE("a huge length is refused before anything is kept") {
  std::string bytes(frame_header_bytes, '\0');
  store_le(bytes.data(), std::uint32_t{0xffffffff});
  bytes[4] = static_cast<char>(frame_type::hello);
  frame_reader reader;
  reader.feed(bytes);
  frame f{};
  REQUIRE(reader.next(f) == frame_reader::status::error);
  REQUIRE(std::string(reader.reason()) == "frame too long");
  for (int i = 0; i < 1000; ++i) reader.feed(std::string(10'000, 'x'));
  REQUIRE(reader.buffered_bytes() < 100'000);
}

TEST_CASE("before the handshake only small frames are taken") {
  std::string bytes;
  append_frame(bytes, frame_type::records, 0, std::string(handshake_payload_max + 1, 'r'));
  REQUIRE(read_in_pieces(bytes, bytes.size()).error == "frame too long");
  frame_reader reader;
  reader.set_payload_max(frame_payload_max);
  reader.feed(bytes);
  frame f{};
  REQUIRE(reader.next(f) == frame_reader::status::frame);
}

TEST_CASE("a lost or repeated frame ends the session") {
  std::string bytes;
  append_frame(bytes, frame_type::hello, 0, "a");
  std::string repeated = bytes + bytes;
  REQUIRE(read_in_pieces(repeated, repeated.size()).error == "frame out of sequence");
  append_frame(bytes, frame_type::ping, 2, "12345678");
  REQUIRE(read_in_pieces(bytes, bytes.size()).error == "frame out of sequence");
}

TEST_CASE("an unknown type or flag is refused") {
  std::string bytes;
  append_frame(bytes, static_cast<frame_type>(frame_type_max + 1), 0, "");
  REQUIRE(read_in_pieces(bytes, 1).error == "unknown frame type");
  bytes.clear();
  append_frame(bytes, frame_type::hello, 0, "");
  bytes[5] = 1;
  REQUIRE(read_in_pieces(bytes, 1).error == "unknown frame flags");
}

TEST_CASE("records survive the wire; a cut or absurd one does not pass") {
  record value;
  value.key = "a key";
  value.value = "its value";
  value.meta.stored = version(123456, 3);
  value.meta.touched = version(123999, 2);
  value.meta.flags = 0xdeadbeef;
  value.meta.exptime = 1'800'000'000;
  value.meta.marks = engine::mark::stale;
  value.exptime_part = -100;
  record gone;
  gone.kind = record_kind::gone;
  gone.key = "other";
  gone.meta.stored = version(5, 1);
  std::string payload;
  append_record(payload, value);
  append_record(payload, gone);
  record owned = value;
  owned.meta.marks |= engine::mark::own_cas;
  owned.meta.cas = UINT64_MAX - 1;
  append_record(payload, owned);

  std::string_view rest = payload;
  std::size_t size = 0;
  const auto first = take_record(rest, false, size);
  REQUIRE(first);
  REQUIRE(first->key == value.key);
  REQUIRE(first->value == value.value);
  REQUIRE(first->meta == value.meta);
  REQUIRE(first->exptime_part == -100);
  const auto second = take_record(rest, false, size);
  REQUIRE(second);
  REQUIRE(second->kind == record_kind::gone);
  const std::string_view last = rest;
  const auto third = take_record(rest, false, size);
  REQUIRE(third);
  REQUIRE(third->key == owned.key);
  REQUIRE(third->value == owned.value);
  REQUIRE(third->meta == owned.meta);
  REQUIRE(rest.empty());
  for (std::size_t cut = 0; cut < last.size(); ++cut) {
    std::string_view part = last.substr(0, cut);
    REQUIRE_FALSE(take_record(part, false, size));
  }

  for (std::size_t cut = 0; cut < record_header_bytes + 14; ++cut) {
    std::string_view part = std::string_view(payload).substr(0, cut);
    REQUIRE_FALSE(take_record(part, false, size));
  }
  const auto broken = [&](std::size_t offset, char byte) {
    std::string copy = payload;
    copy[offset] = byte;
    std::string_view view = copy;
    return take_record(view, false, size).has_value();
  };
  REQUIRE_FALSE(broken(0, 3));        // kind
  REQUIRE_FALSE(broken(2, 0));        // no key
  REQUIRE_FALSE(broken(2, '\xfb'));   // 251 bytes of key
  REQUIRE_FALSE(broken(7, '\x7f'));   // a value of 2 GB
  REQUIRE_FALSE(broken(15, '\x7f'));  // a version from the far future
}

TEST_CASE("the flush register survives the wire") {
  const flush_state f{version(77, 1), version(99, 2), 1'800'000'000};
  REQUIRE(decode_flush(encode(f)) == f);
  REQUIRE_FALSE(decode_flush(encode(f).substr(1)));
  REQUIRE_FALSE(decode_flush(encode({version(std::uint64_t{1} << 62), {}, 0})));
}

// Behind a byte of its own, frames as tests/fuzz/peer_fuzz.cc reads them: type less one, length.
TEST_CASE("the fuzzer's corpus introduces itself as nodes do today") {
  const std::string name = GENERATE(std::string("early"), std::string("proof"));
  std::ifstream file(MEMTANDEM_SOURCE_DIR "/tests/fuzz/corpus/peer_fuzz/" + name, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  REQUIRE(bytes.size() > 4);
  REQUIRE(bytes[1] + 1 == static_cast<char>(frame_type::hello));
  const auto size = load_le<std::uint16_t>(bytes.data() + 2);
  const auto h = decode_hello(std::string_view(bytes).substr(4, size));
  REQUIRE(h.has_value());
  REQUIRE(encode(*h).size() == size);
  REQUIRE(h->protocol_max == protocol_version);
  REQUIRE(h->authenticates);
}
