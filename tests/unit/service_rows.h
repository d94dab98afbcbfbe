// Rows of requests and the replies they must have. Every row runs at every fragment size, and its
// replies are taken in random steps.
#pragma once

#include <string>
#include <vector>

#include "tests/unit/catch.h"
#include "tests/unit/service_client.h"

namespace tandem::test {

inline const std::string bad_format = "CLIENT_ERROR bad command line format\r\n";
inline const std::string k251(251, 'k');  // a byte longer than a key may be

struct row {
  std::string setup;  // sent first, its replies thrown away
  std::string sent;
  std::string expected;
  bool closes = false;
};

inline void run(const row& r, std::size_t piece) {
  client c;
  c.send(r.setup);
  c.takes_random_steps = true;
  const std::string replies = c.send(r.sent, piece);
  const bool closed = c.connection.wants_close();
  if (replies == r.expected && closed == r.closes) return;
  CAPTURE(r.setup.substr(0, 200), r.sent.substr(0, 200), piece, closed);
  REQUIRE(replies.substr(0, 400) == r.expected.substr(0, 400));
  REQUIRE(replies == r.expected);
  REQUIRE(closed == r.closes);
}

inline void run_at_every_size(const std::vector<row>& rows) {
  for (const row& r : rows) {
    if (r.sent.size() <= 600) {
      for (std::size_t piece = 1; piece <= r.sent.size(); ++piece) run(r, piece);
    } else {
      for (const std::size_t piece :
           {std::size_t{7}, std::size_t{1024}, std::size_t{65536}, r.sent.size()})
        run(r, piece);
    }
  }
}

}  // namespace tandem::test
