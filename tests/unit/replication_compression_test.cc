#include <string>

#include "common/base/endian.h"
#include "common/base/prng.h"
#include "common/replication/compression.h"
#include "tests/unit/catch.h"
#include "tests/unit/node_pair.h"

using namespace tandem;
using namespace tandem::replication;

namespace {

std::string noise(std::size_t size) {
  prng random(7);
  std::string bytes;
  while (bytes.size() < size) bytes.push_back(static_cast<char>(random.next()));
  return bytes;
}

std::string text(std::size_t size) {
  std::string bytes;
  for (int i = 0; bytes.size() < size; ++i) bytes += "user:" + std::to_string(i) + "=active;";
  bytes.resize(size);
  return bytes;
}

}  // namespace

TEST_CASE("what was shrunk expands to what it was, by either method") {
  for (const compression method : {compression::lz4, compression::zstd}) {
    compressor shrinker;
    shrinker.use(method);
    expander expands;
    for (const std::size_t size : {std::size_t{600}, std::size_t{65536}, frame_payload_max}) {
      const std::string payload = text(size);
      const std::string_view small = shrinker.shrink(frame_type::records, payload);
      REQUIRE(!small.empty());
      REQUIRE(small.size() < size * 7 / 8 + 16);
      const auto back = expands.expand({frame_type::compressed, 42, small});
      REQUIRE(back);
      REQUIRE(back->type == frame_type::records);
      REQUIRE(back->sequence == 42);
      REQUIRE(back->payload == payload);
    }
  }
}

TEST_CASE("what does not shrink, is small or of another kind travels as it is") {
  compressor shrinker;
  REQUIRE(shrinker.shrink(frame_type::records, text(5000)).empty());  // none is the default
  shrinker.use(compression::lz4);
  REQUIRE(shrinker.shrink(frame_type::in_sync, text(5000)).empty());
  REQUIRE(shrinker.shrink(frame_type::records, text(100)).empty());
  REQUIRE(shrinker.shrink(frame_type::records, noise(5000)).empty());
  // And neither do the next few, untried; later ones do again.
  REQUIRE(shrinker.shrink(frame_type::records, text(5000)).empty());
  std::string_view small;
  for (int i = 0; i < 100 && small.empty(); ++i)
    small = shrinker.shrink(frame_type::chunk, text(5000));
  REQUIRE(!small.empty());
}

TEST_CASE("a compressed frame that is damaged, lies of its size or hides another is refused") {
  compressor shrinker;
  expander expands;
  for (const compression method : {compression::lz4, compression::zstd}) {
    shrinker.use(method);
    const std::string good(shrinker.shrink(frame_type::records, text(20'000)));
    const auto refused = [&](const std::string& bytes) {
      return !expands.expand({frame_type::compressed, 0, bytes});
    };
    REQUIRE_FALSE(refused(good));
    for (const std::uint32_t size : {0U, 1U, 19'999U, 20'001U, 1U << 20, (1U << 20) + 1, ~0U}) {
      std::string wrong = good;
      store_le(wrong.data() + 4, size);
      REQUIRE(refused(wrong));
    }
    std::string wrong = good;
    wrong[1] = static_cast<char>(frame_type::compressed);
    REQUIRE(refused(wrong));
    wrong = good;
    wrong[0] = 3;
    REQUIRE(refused(wrong));
    for (std::size_t cut = 0; cut < good.size(); cut += 1 + cut / 8)
      REQUIRE(refused(good.substr(0, cut)));
    prng random(3);
    for (int i = 0; i < 2000; ++i) {  // no worse than other contents, which the CRC rules out
      wrong = good;
      wrong[8 + random.below(good.size() - 8)] ^= static_cast<char>(1 << random.below(8));
      (void)expands.expand({frame_type::compressed, 0, wrong});
    }
  }
}

TEST_CASE("a copy and live changes arrive through a compressed link, and it is smaller") {
  std::uint64_t bytes[3] = {};
  for (const compression method : {compression::none, compression::lz4, compression::zstd}) {
    testing::pair_of_nodes p;
    p.configure = [method](int, service::store_options&, node_options& no) {
      no.compression = method;
    };
    p.start(0, false, 0);
    for (int i = 0; i < 3000; ++i) p.put(0, "key" + std::to_string(i), text(200));
    p.put(0, "large", text(300'000));
    p.start(1, true, 1);
    p.pass(milliseconds(1500));
    for (int i = 0; i < 1000; ++i) p.put(1, "key" + std::to_string(i), text(300));
    p.pass(milliseconds(500));
    REQUIRE(p.sides[0].data->digest(p.now()).items == 3001);
    REQUIRE(p.sides[0].data->digest(p.now()).digest == p.sides[1].data->digest(p.now()).digest);
    bytes[static_cast<int>(method)] = p.status(0).bytes_sent;
  }
  REQUIRE(bytes[1] < bytes[0] / 2);
  REQUIRE(bytes[2] < bytes[1]);
}
