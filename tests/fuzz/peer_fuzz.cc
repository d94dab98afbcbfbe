// The peer link's bytes. Input: raw bytes for a fresh connection; and, behind a good handshake,
// well-framed payloads of any type and content, so that the fuzzer need not find checksums. They go
// to a node that follows, has commands with its master and expands what is compressed; to one that
// leads, executes commands for the peer, and is told to compare data and to hand over again and
// again; and to one with a secret, which must not believe any of them.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/replication/compression.h"
#include "common/replication/frame.h"
#include "common/replication/hello.h"
#include "common/replication/node.h"
#include "common/service/store.h"

using namespace tandem;
using namespace tandem::replication;

namespace {

constexpr std::size_t effect_bytes_max = 4 << 20;

instant at(std::int64_t micros) {
  return {wall_time(std::chrono::seconds(1'800'000'000) + std::chrono::microseconds(micros)),
          steady_time(std::chrono::microseconds(micros))};
}

// Feeds one event, and does what the node wants done about commands; what it wants to send stays
// bounded.
void step(node& n, const any_event& e, std::int64_t micros) {
  std::size_t bytes = 0;
  for (const any_effect& effect : n.step(e, at(micros))) {
    if (const auto* send = std::get_if<effect::send>(&effect))
      bytes += send->bytes.size();
    else if (const auto* fence = std::get_if<effect::fence>(&effect))
      step(n, event::fenced{fence->id}, micros);
    else if (const auto* execute = std::get_if<effect::execute>(&effect))
      step(n, event::executed{execute->session, execute->id, execute->bytes, {}}, micros);
  }
  if (bytes > effect_bytes_max) std::abort();
}

std::string handshake(std::uint64_t& sequence, bool in_charge) {
  hello h;
  h.features = features_of_compression;
  h.stands.run_id = 77;
  h.stands.node_id = 5;
  h.stands.in_charge = h.stands.complete = in_charge;
  h.stands.term = in_charge ? 9 : 0;
  h.clock = at(0).wall;
  h.cluster = "memtandem";
  std::string bytes;
  append_frame(bytes, frame_type::hello, sequence++, encode(h));
  append_frame(bytes, frame_type::accept, sequence++, std::string(8, 0));
  return bytes;
}

// Takes the next frame from the input, with a good head, into `bytes`.
void take_frame(std::string_view& input, std::uint64_t& sequence, std::string& bytes) {
  const auto type =
      static_cast<frame_type>(1 + static_cast<unsigned char>(input[0]) % (frame_type_max + 1));
  const std::size_t length = static_cast<unsigned char>(input[1]) |
                             static_cast<std::size_t>(static_cast<unsigned char>(input[2])) << 8;
  input.remove_prefix(3);
  bytes.clear();
  append_frame(bytes, type, sequence++, input.substr(0, length));
  input.remove_prefix(std::min(length, input.size()));
}

// Whoever has not the secret changes nothing.
void stand_at_the_door(std::string_view input) {
  service::store_options so;
  so.memory_bytes = 1 << 20;
  service::store store(so);
  node_options no;
  no.run_id = 4;
  no.known_secrets = {"a secret of some length"};
  node n(no, store, 1);
  step(n, event::started{}, 0);
  const node_status before = n.status(at(0));
  nonce fresh;
  fresh.fill('n');
  step(n, event::accepted{2, "framed", fresh}, 0);
  std::uint64_t sequence = 0;
  std::string bytes;
  while (input.size() >= 3) {
    take_frame(input, sequence, bytes);
    step(n, event::received{2, bytes}, 0);
  }
  const node_status after = n.status(at(0));
  if (after.linked || after.role != before.role || after.term != before.term ||
      after.node_id != before.node_id || !store.empty())
    std::abort();
}

// A linked node hears the frames: a slave, or a master.
void talk(std::string_view raw, std::string_view input, bool leads) {
  service::store_options so;
  so.memory_bytes = 1 << 20;
  so.item_size_max = 64 << 10;
  service::store store(so);
  node_options no;
  no.run_id = 3;
  no.node_id = 2;
  if (!leads) no.peer = "peer";
  no.writes = writes_mode::master;
  no.compression = compression::zstd;
  node n(no, store, 1);
  step(n, event::started{}, 0);
  step(n, event::accepted{2, "raw"}, 0);
  step(n, event::received{2, raw}, 0);

  std::uint64_t sequence = 0;
  step(n, event::accepted{4, "framed"}, 0);
  step(n, event::received{4, handshake(sequence, !leads)}, 0);
  std::string bytes;
  std::int64_t micros = 0;
  for (std::uint64_t id = 1; input.size() >= 3; ++id) {
    step(n, event::forward{id, "incr n 1\r\n"}, micros);
    step(n, event::command{id, id % 2 == 0 ? "switchover" : "audit repair"}, micros);
    take_frame(input, sequence, bytes);
    step(n, event::received{4, bytes}, micros);
    step(n, event::tick{}, micros += 10'000);
  }
  if (store.used_bytes() > so.memory_bytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.empty()) return 0;
  // The first byte halves the rest: raw for one connection, frames for another.
  const auto share = static_cast<unsigned char>(input[0]);
  input.remove_prefix(1);
  const std::size_t raw = share * input.size() / 256;
  const std::string_view frames = input.substr(raw);
  stand_at_the_door(frames);
  for (const bool leads : {false, true}) talk(input.substr(0, raw), frames, leads);
  return 0;
}
