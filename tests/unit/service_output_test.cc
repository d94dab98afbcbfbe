#include "common/service/output.h"

#include <string>
#include <vector>

#include "common/base/prng.h"
#include "tests/unit/catch.h"

using namespace tandem;
using namespace tandem::service;

namespace {

engine::large_ref a_large(std::size_t size, char fill) {
  auto value =
      engine::large_value::make(size, engine::page_pool_ref(new engine::page_pool(1 << 20)));
  value->grant(size);
  for (std::size_t at = 0; at < size;) {
    const auto room = value->writable_at(at);
    std::fill(room.begin(), room.end(), fill);
    at += room.size();
  }
  return value;
}

// Takes everything, `pieces_max` pieces and at most `step` bytes at a time.
std::string take(output_queue& out, std::size_t pieces_max, std::size_t step) {
  std::string all;
  std::vector<std::string_view> pieces(pieces_max);
  while (!out.empty()) {
    const std::size_t count = out.pieces(pieces);
    REQUIRE(count != 0);
    std::string together;
    for (std::size_t i = 0; i < count; ++i) together.append(pieces[i]);
    REQUIRE(together.size() <= out.size());
    const std::size_t n = std::min(step, together.size());
    all.append(together, 0, n);
    out.sent(n);
  }
  return all;
}

}  // namespace

TEST_CASE("text and pinned values leave in the order they came in, in any steps") {
  for (const std::size_t step : {1, 2, 3, 7, 100, 100000}) {
    for (const std::size_t pieces : {1, 2, 3, 16}) {
      output_queue out;
      const auto a = a_large(5, 'a');
      const auto b = a_large(300, 'b');
      out.pin(*a);
      out.append("one");
      out.append("");
      out.append("two");
      out.pin(*b);
      out.pin(*a);
      out.append("three");
      REQUIRE(out.size() == 321);
      REQUIRE(take(out, pieces, step) == "aaaaaonetwo" + std::string(300, 'b') + "aaaaathree");
      REQUIRE_FALSE(a->shared());
      REQUIRE_FALSE(b->shared());
    }
  }
}

TEST_CASE("what is added while older bytes are unsent comes behind them") {
  prng random(7);
  output_queue out;
  std::string expected, got;
  const auto value = a_large(40, 'v');
  std::vector<std::string_view> pieces(3);
  for (int i = 0; i < 20000; ++i) {
    if (random.chance(400)) {
      const std::string text(random.below(30), static_cast<char>('a' + random.below(26)));
      out.append(text);
      expected += text;
    } else if (random.chance(100)) {
      out.pin(*value);
      expected += std::string(40, 'v');
    } else if (!out.empty()) {
      const std::size_t count = out.pieces(pieces);
      std::string together;
      for (std::size_t k = 0; k < count; ++k) together.append(pieces[k]);
      const std::size_t n = 1 + random.below(together.size());
      got.append(together, 0, n);
      out.sent(n);
    }
    REQUIRE(out.size() == expected.size() - got.size());
  }
  got += take(out, 3, 5);
  REQUIRE(got == expected);
}

TEST_CASE("an output that was sent holds next to no memory") {
  output_queue out;
  REQUIRE(out.buffered_bytes() == 0);
  out.append(std::string(100000, 'x'));
  out.sent(100000);
  REQUIRE(out.buffered_bytes() <= 2048);
}

TEST_CASE("changes put other text in the place of what is not sent yet, pinned values and all") {
  prng random(3);
  for (int round = 0; round < 2000; ++round) {
    output_queue out;
    std::string model;
    std::vector<std::pair<std::size_t, std::size_t>> parts;  // where each begins and ends
    for (std::uint64_t n = 1 + random.below(8); n != 0; --n) {
      const std::size_t begin = model.size();
      const char c = static_cast<char>('a' + random.below(26));
      const std::string text(random.below(5), c);
      out.append(text);
      model += text;
      if (random.below(2) == 0) {
        out.pin(*a_large(1 + random.below(20), c));
        model.append(out.end() - model.size(), c);
      }
      parts.emplace_back(begin, model.size());
    }
    // What is gone may end inside a part; changes are of parts behind it.
    const std::size_t gone = random.below(model.size() + 1);
    out.sent(gone);
    std::vector<output_queue::change> changes;
    std::string wanted;
    std::size_t at = gone;
    for (const auto& [begin, end] : parts) {
      if (begin < gone || random.below(2) == 0) continue;
      wanted += model.substr(at, begin - at) + "<new>";
      changes.push_back({begin, end, "<new>"});
      at = end;
    }
    wanted += model.substr(at);
    REQUIRE(out.begin() == gone);
    out.rewrite(changes);
    REQUIRE(out.size() == wanted.size());
    REQUIRE(out.begin() == gone);
    out.append("!");
    REQUIRE(take(out, 1 + random.below(4), 1 + random.below(9)) == wanted + "!");
  }
}
