// A backend that answers anything: a lane never reads past what came, ends every reply at the same
// place however it is cut, and never gives more replies than were asked for.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/backend/lane.h"
#include "common/base/check.h"

namespace {

using namespace tandem;
using namespace tandem::backend;

struct no_waker final : lane_waker {
  void wanted() override {}
};

constexpr std::size_t requests = 16;

std::vector<std::string> replies_of(std::string_view shapes, std::string_view text,
                                    std::size_t piece, bool& good) {
  lane one(0);
  no_waker waker;
  one.set_waker(waker);
  one.open(true);
  byte_buffer out;
  {
    lane::access with(one);
    bool joinable = false;
    for (std::size_t i = 0; i < requests; ++i) {
      expected e;
      const unsigned what = static_cast<unsigned char>(shapes[i]);
      e.reply.shape = static_cast<reply_shape>(what % 4);
      const bool retrieves = e.reply.shape == reply_shape::values;
      e.reply.joined = retrieves && joinable && what >= 128;
      joinable = retrieves;
      with.add(e, retrieves ? "k" : "");
    }
  }
  one.take_output(out);
  std::vector<std::string> replies;
  good = true;
  while (good && !text.empty()) {
    const std::span<char> room = one.prepare();
    const std::size_t n = std::min({piece, text.size(), room.size()});
    std::copy_n(text.begin(), n, room.begin());
    text.remove_prefix(n);
    good = one.received(n, [&](const expected&, std::string_view, std::string_view reply) {
      for (int how = 0; how <= static_cast<int>(treatment::nothing); ++how)
        (void)for_client(static_cast<treatment>(how), reply);
      (void)happened(change::won, reply);
      replies.emplace_back(reply);
    });
  }
  CHECK(replies.size() <= requests);
  return replies;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < requests) return 0;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::string_view shapes = all.substr(0, requests), text = all.substr(requests);
  bool whole = false, cut = false;
  const auto first = replies_of(shapes, text, text.size(), whole);
  const auto second = replies_of(shapes, text, 1 + size % 7, cut);
  CHECK(whole == cut);
  CHECK(first == second);
  return 0;
}
