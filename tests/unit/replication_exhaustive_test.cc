// Everything that up to four operations on one key can do to two nodes, whichever node each is done
// at and however the nodes' news are exchanged meanwhile: at the end both hold the same. Real
// stores, real records; a run takes a key and a stretch of time of its own, so that one pair of
// stores serves them all: nothing of an earlier run is as new as the oldest version of a later one.
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/service/store.h"
#include "tests/unit/catch.h"

using namespace tandem;
using replication::record;
using replication::record_kind;
using service::hashed_key;

namespace {

constexpr std::int64_t ticks_of_second = 1'000'000;

enum class act : std::uint8_t {
  store,
  store_short,  // a value that expires before the next but one operation
  remove,
  touch,
  flush,
  flush_later,  // a flush_all that is due before the next but one operation
  lose,         // what is there goes without a trace, as by eviction
};
constexpr std::array acts = {act::store, act::store_short, act::remove, act::touch,
                             act::flush, act::flush_later, act::lose};

struct step {
  act what;
  int at;  // the node
};
using program = std::vector<step>;

// A record that owns its bytes.
struct piece_of_news {
  record_kind kind;
  engine::item_meta meta;
  std::string key, value;
  explicit piece_of_news(const record& r)
      : kind(r.kind), meta(r.meta), key(r.key), value(r.value) {}
};

struct lone_node {
  service::store data;
  std::int64_t clock_off = 0;
  replication::journal::position sent = 0;  // what the other was told

  lone_node(unsigned id, instant now) : data(options()) {
    data.set_node_id(id, now);
    sent = data.start_journal(0);
  }
  static service::store_options options() {
    service::store_options o;
    o.memory_bytes = std::size_t{16} << 20;
    return o;
  }
};

// What a client sees, and all that the merge rule would see.
struct state {
  bool visible = false;
  std::optional<engine::item_meta> meta;
  std::string value;
  friend bool operator==(const state&, const state&) = default;
};

class laboratory {
 public:
  laboratory() {
    for (unsigned id = 0; id < 3; ++id) nodes_[id] = std::make_unique<lone_node>(id, now(0));
  }

  // A new key, at a time that is later than everything before.
  void begin(std::int64_t clock_off) {
    key_ = "key" + std::to_string(++runs_);
    time_ += 100 * ticks_of_second;
    nodes_[1]->clock_off = clock_off;
    newest_ = {};
    lost_[0] = lost_[1] = false;
    for (auto& n : nodes_) {
      n->data.stop_journal(0);  // none of what they hold is wanted any more
      n->sent = n->data.start_journal(0);
    }
    begun_[0] = nodes_[0]->sent;
    begun_[1] = nodes_[1]->sent;
  }

  void run(const step& s) {
    time_ += ticks_of_second;
    const bool there = look(s.at).meta.has_value();
    act_out(s);
    // Lost here; or it had expired, and was met by the operation.
    if (there && !look(s.at).meta) lost_[s.at] = true;
  }

  // Tells one node what the other has journaled since it was told last, and its flush_all register.
  void tell(int from) {
    lone_node& n = *nodes_[from];
    deliver(1 - from, n.data.flush());
    for (const piece_of_news& m : journal(from, n.sent)) deliver(1 - from, m);
    n.sent = n.data.journal_end(0);
  }
  bool has_news(int from) const { return nodes_[from]->sent != nodes_[from]->data.journal_end(0); }
  void tell_all() {
    do {
      tell(0);
      tell(1);
    } while (has_news(0) || has_news(1));
  }
  // What a session that cannot resume sends: all there is, and the journal behind it once more.
  void tell_everything_again() {
    for (int from = 0; from < 2; ++from) {
      deliver(1 - from, nodes_[from]->data.flush());
      if (const auto m = current(from)) deliver(1 - from, *m);
      nodes_[from]->sent = begun_[from];
    }
    tell_all();
  }
  std::vector<piece_of_news> news(int from) {
    return journal(from, std::exchange(nodes_[from]->sent, nodes_[from]->data.journal_end(0)));
  }

  void deliver(int to, const piece_of_news& m) {
    record r;
    r.kind = m.kind;
    r.meta = m.meta;
    r.key = m.key;
    r.value = m.value;
    nodes_[to]->data.apply(r, now(to));
  }
  void deliver(int to, const replication::flush_state& f) {
    nodes_[to]->data.apply_flush(f, now(to));
  }
  replication::flush_state flush(int at) const { return nodes_[at]->data.flush(); }

  // Beyond every expiry and every flush that was asked for.
  void wait() {
    time_ += 10 * ticks_of_second;
    for (const int at : {0, 1, 2}) look(at);  // a flush that is due is carried out by any look
  }

  state look(int at) {
    const hashed_key k(key_);
    auto locked = nodes_[at]->data.lock(k, now(at));
    const auto item = locked.peek(k);
    state s;
    if (!item) return s;
    s.visible = locked.visible(*item);
    s.meta = item->meta;
    s.value = item->value;
    return s;
  }
  // Something was dropped without a trace here, or refused because of that.
  bool lost(int at) const { return lost_[at]; }
  // Of the last store or delete on either node.
  version newest() const { return newest_; }

 private:
  void act_out(const step& s) {
    lone_node& n = *nodes_[s.at];
    const hashed_key k(key_);
    const instant t = now(s.at);
    const std::uint32_t at = unix_seconds(t.wall);
    switch (s.what) {
      case act::store:
        newest_ = std::max(newest_, n.data.lock(k, t).put(k, 1, at + far, "value").stored);
        break;
      case act::store_short:
        newest_ = std::max(newest_, n.data.lock(k, t).put(k, 2, at + 2, "short").stored);
        break;
      case act::remove: {
        auto locked = n.data.lock(k, t);
        locked.remove(k);
        newest_ = std::max(newest_, locked.peek(k)->meta.stored);
        break;
      }
      case act::touch:
        n.data.lock(k, t).touch(k, at + far + 7);
        break;
      case act::flush:
        n.data.flush_all(0, t);
        break;
      case act::flush_later:
        n.data.flush_all(at + 2, t);
        break;
      case act::lose:
        lose(s.at);
        break;
    }
  }

  static constexpr std::uint32_t far = 1000;  // seconds that a value lives

  instant now(int at) const {
    const std::int64_t off = nodes_[at] ? nodes_[at]->clock_off : 0;
    return {wall_time(std::chrono::microseconds(time_ + off)),
            steady_time(std::chrono::microseconds(time_))};
  }

  // A look from far in the future finds the value expired and reclaims it: what eviction leaves
  // behind, a floor and the news, and nothing else. It would carry out a flush that is pending:
  // then nothing is lost.
  void lose(int at) {
    lone_node& n = *nodes_[at];
    if (n.data.flush().pending_at != 0) return;
    const hashed_key k(key_);
    instant then = now(at);
    then.wall += std::chrono::seconds(2 * far);
    n.data.lock(k, then).find(k);
  }

  std::vector<piece_of_news> journal(int from, replication::journal::position since) {
    std::vector<piece_of_news> all;
    nodes_[from]->data.read_journal(0, since, now(from), [&](const record& r) {
      all.emplace_back(r);
      return true;
    });
    return all;
  }
  std::optional<piece_of_news> current(int from) {
    const state s = look(from);
    if (!s.meta) return std::nullopt;
    record r;
    r.key = key_;
    r.meta = *s.meta;
    r.value = s.value;
    r.kind = s.visible ? record_kind::value : record_kind::gone;
    if (s.meta->kind == engine::item_kind::tombstone) r.kind = record_kind::tombstone;
    if (r.kind == record_kind::gone && r.meta.stored <= flush(from).watermark) return std::nullopt;
    return piece_of_news(r);
  }

  std::array<std::unique_ptr<lone_node>, 3> nodes_;
  std::int64_t time_ = 1'800'000'000 * ticks_of_second;
  std::uint64_t runs_ = 0;
  std::string key_;
  replication::journal::position begun_[2] = {0, 0};
  version newest_;
  bool lost_[2] = {false, false};
};

// Every program of `length` operations; the first is done at node 0 (the nodes are alike).
template <class Visit>
void every_program(std::size_t length, Visit&& visit) {
  std::size_t count = acts.size();
  for (std::size_t i = 1; i < length; ++i) count *= acts.size() * 2;
  for (std::size_t number = 0; number < count; ++number) {
    program p;
    std::size_t rest = number;
    for (std::size_t i = 0; i < length; ++i) {
      const act what = acts[rest % acts.size()];
      rest /= acts.size();
      p.push_back({what, i == 0 ? 0 : static_cast<int>(rest % 2)});
      if (i != 0) rest /= 2;
    }
    visit(p);
  }
}

std::string told(const program& p) {
  static constexpr const char* names[] = {"store", "store short", "delete", "touch",
                                          "flush", "flush later", "lose"};
  std::string text;
  for (const step& s : p)
    text += std::string(names[static_cast<int>(s.what)]) + (s.at == 0 ? "@A " : "@B ");
  return text;
}

std::string told(const state& s) {
  if (!s.meta) return "nothing";
  return std::to_string(s.meta->stored.word()) + "/" + std::to_string(s.meta->touched.word()) +
         (s.visible ? " visible " : " hidden ") + s.value;
}

// No key has two values; a value is missing on one side only if it was lost there; and nothing that
// was overwritten or deleted is seen.
std::string wrong_at_rest(laboratory& lab, bool settled) {
  const state a = lab.look(0), b = lab.look(1);
  const std::string both = told(a) + " and " + told(b);
  if (a.visible && b.visible && !(a == b)) return "two states: " + both;
  // With clocks apart one state may have expired, or been flushed, at one node only for a moment.
  if (settled && a.visible && !b.visible && !lab.lost(1)) return "missing at B: " + both;
  if (settled && b.visible && !a.visible && !lab.lost(0)) return "missing at A: " + both;
  for (const state& s : {a, b})
    if (s.visible && s.meta->stored != lab.newest()) return "stale: " + both;
  return {};
}

// Runs a program; between its operations the nodes tell each other what `exchanges` says: two bits
// for each gap, A to B and B to A. False: some exchange had nothing to tell, so the same was tried
// without it.
bool run(laboratory& lab, const program& p, unsigned exchanges, std::int64_t clock_off) {
  lab.begin(clock_off);
  for (std::size_t i = 0; i < p.size(); ++i) {
    lab.run(p[i]);
    if (i + 1 == p.size()) break;
    for (int from = 0; from < 2; ++from) {
      if ((exchanges >> (2 * i + static_cast<unsigned>(from)) & 1U) == 0) continue;
      const bool register_news = lab.flush(from) != lab.flush(1 - from);
      if (!lab.has_news(from) && !register_news) return false;
      lab.tell(from);
    }
  }
  return true;
}

// "I have it no more" counts for what was sent before it only, and a flush_all to come that another
// one has replaced is sent no more; all else is a state, and may come whenever it likes.
bool sends_states_only(const program& p) {
  const auto count = [&](auto... what) {
    return std::count_if(p.begin(), p.end(),
                         [&](const step& s) { return ((s.what == what) || ...); });
  };
  return count(act::lose, act::store_short) == 0 &&
         (count(act::flush_later) == 0 || count(act::flush, act::flush_later) == 1);
}

std::size_t check_every_exchange(laboratory& lab, std::size_t length, std::int64_t clock_off) {
  std::size_t runs = 0;
  every_program(length, [&](const program& p) {
    for (unsigned exchanges = 0; exchanges < 1U << 2 * (length - 1); ++exchanges) {
      if (!run(lab, p, exchanges, clock_off)) continue;
      ++runs;
      lab.tell_all();
      std::string wrong = wrong_at_rest(lab, clock_off == 0);
      if (wrong.empty()) {
        lab.tell_everything_again();
        wrong = wrong_at_rest(lab, clock_off == 0);
      }
      if (wrong.empty()) {
        lab.wait();
        lab.tell_all();
        wrong = wrong_at_rest(lab, true);
        if (lab.flush(0).watermark != lab.flush(1).watermark) wrong += " two watermarks";
      }
      if (!wrong.empty())
        FAIL(told(p) << "exchanges " << exchanges << " clock " << clock_off << ": " << wrong);
    }
  });
  return runs;
}

}  // namespace

TEST_CASE("up to four operations at two nodes, exchanged at every moment, end in one state") {
  laboratory lab;
  std::size_t runs = 0;
  for (std::size_t length = 1; length <= (sanitized ? 3 : 4); ++length)
    runs += check_every_exchange(lab, length, 0);
  // With one clock ahead or behind an operation may be older than one that it follows.
  for (const std::int64_t off : {-5 * ticks_of_second / 2, 5 * ticks_of_second / 2})
    for (std::size_t length = 1; length <= 3; ++length)
      runs += check_every_exchange(lab, length, off);
  REQUIRE(runs > (sanitized ? 10'000 : 300'000));
}

TEST_CASE("what up to four operations send gives one state in every order, and sent twice") {
  laboratory lab;
  std::size_t runs = 0;
  for (std::size_t length = 1; length <= 4; ++length)
    every_program(length, [&](const program& p) {
      if (!sends_states_only(p)) return;
      std::vector<std::size_t> order;
      std::optional<state> expected;
      do {
        lab.begin(0);
        std::vector<piece_of_news> records;
        std::vector<replication::flush_state> flushes;
        for (const step& s : p) {
          lab.run(s);
          for (piece_of_news& m : lab.news(s.at)) records.push_back(std::move(m));
          if (s.what == act::flush || s.what == act::flush_later)
            flushes.push_back(lab.flush(s.at));
        }
        const std::size_t count = records.size() + flushes.size();
        if (order.empty())
          for (std::size_t i = 0; i < count; ++i) order.push_back(i);
        if (order.size() != count) FAIL(told(p) << ": a run differs from the one before");
        const auto deliver = [&](int to, std::size_t i) {
          if (i < records.size())
            lab.deliver(to, records[i]);
          else
            lab.deliver(to, flushes[i - records.size()]);
        };
        // The third node gets all of it in this order, and everything twice; so do the two.
        for (int round = 0; round < 2; ++round)
          for (const std::size_t i : order)
            for (const int to : {0, 1, 2}) deliver(to, i);
        lab.wait();
        for (const int at : {1, 2})
          if (const state s = lab.look(at), a = lab.look(0);
              s.visible != a.visible || (s.visible && !(s == a)))
            FAIL(told(p) << ": " << told(a) << " but " << told(s));
        const state third = lab.look(2);
        const bool visible = third.visible;
        if (expected && expected->visible != visible) FAIL(told(p) << ": the order matters");
        expected = third;
        ++runs;
      } while (std::next_permutation(order.begin(), order.end()));
    });
  REQUIRE(runs > 30'000);
}
