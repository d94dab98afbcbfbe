#include "common/replication/auditor.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace tandem::replication {

namespace {
constexpr std::uint64_t items_per_bucket = 4096;
constexpr unsigned split_bits = 4;  // of a bucket that has too many keys to tell
// What expires before both nodes have walked is left out: so many seconds and how far their clocks
// are apart. (A walk that takes longer finds it gone on one side, which is no difference.)
constexpr std::uint32_t walk_seconds = 2;
constexpr std::size_t deeper_max = std::size_t{1} << 20;  // buckets
}  // namespace

void auditor::reset() {
  theirs_ = {};
  ours_ = {};
  asked_begin_ = false;
  phase_ = phase::idle;
  deeper_.clear();
  asked_.clear();
  answer_.clear();
}

std::optional<audit_report> auditor::take_report() {
  if (!std::exchange(reported_, false)) return std::nullopt;
  return report_;
}

const char* auditor::take(const frame& f, instant now, const speaker& say) {
  return f.type == frame_type::audit ? answer(f.payload, now, say) : hear(f.payload, now, say);
}

void auditor::step(instant now, const speaker& say) {
  if (asked_begin_ && sender_.acknowledged_up_to(their_goal_)) {
    asked_begin_ = false;
    say(frame_type::audit_answer, encode(their_head_));
  }
  if (phase_ == phase::draining && sender_.acknowledged_up_to(goal_)) ask_next(now, say);
  if (theirs_.running()) {
    theirs_.step(data_, now);
    if (!theirs_.running()) answer_walk(say);
  }
  if (ours_.running()) {
    ours_.step(data_, now);
    if (!ours_.running() && answered_) compare(now, say);
  }
}

// --- asked by the peer ---------------------------------------------------------------------------

const char* auditor::answer(std::string_view payload, instant now, const speaker& say) {
  const auto head = take_audit_head(payload);
  if (!head) return "malformed audit frame";
  theirs_ = {};
  asked_begin_ = false;
  their_head_ = *head;
  switch (head->kind) {
    case audit_kind::begin:
      their_head_.cutoff = std::max(head->cutoff, data_.highest());
      data_.observe(their_head_.cutoff);
      their_goal_ = sender_.journal_ends();
      asked_begin_ = true;
      return nullptr;
    case audit_kind::digests:
    case audit_kind::keys:
      if (head->count == 0 || (head->kind == audit_kind::keys && head->count != 1))
        return "malformed audit frame";
      theirs_.begin(*head, head->kind == audit_kind::keys);
      return nullptr;
    case audit_kind::check:
      return answer_check(*head, payload, now, say) ? nullptr : "malformed audit frame";
  }
  return nullptr;
}

void auditor::answer_walk(const speaker& say) {
  if (theirs_.cut_short()) their_head_.flags |= audit_head::cut_short;
  std::string out = encode(their_head_);
  if (their_head_.kind == audit_kind::keys)
    out += theirs_.items();
  else
    for (const audit_digest& each : theirs_.digests()) append(out, each);
  say(frame_type::audit_answer, out);
}

// The peer's state of a key beside ours.
audit_verdict auditor::judge(const audit_head& head, const audit_item& item, instant now) const {
  std::uint64_t digest = 0;
  version changed;
  bool expired = false;
  const version floor = data_.look(item.key, now, [&](const record& r) {
    changed = r.kind == record_kind::gone ? r.meta.stored : r.meta.changed();
    expired = r.kind == record_kind::gone;
    if (r.kind == record_kind::value) digest = audit_digest_of(r);
    return true;
  });
  if (digest == item.digest && digest != 0) return audit_verdict::same;
  if (changed > head.cutoff || item.changed > head.cutoff) return audit_verdict::same;
  if (expired || (!changed && floor >= item.changed)) return audit_verdict::dropped;
  if (digest == 0 && item.digest == 0) return audit_verdict::same;  // both have nothing by now
  return audit_verdict::differs;
}

bool auditor::answer_check(const audit_head& head, std::string_view body, instant now,
                           const speaker& say) {
  std::string out = encode(head);
  while (!body.empty()) {
    const auto item = take_audit_item(body);
    if (!item) return false;
    const audit_verdict verdict = judge(head, *item, now);
    out.push_back(static_cast<char>(verdict));
    if (verdict == audit_verdict::differs && (head.flags & audit_head::repair) != 0)
      data_.journal_again(item->key);
  }
  say(frame_type::audit_answer, out);
  return true;
}

// --- asked by us ---------------------------------------------------------------------------------

bool auditor::start(bool repair, std::chrono::seconds apart, instant now, const speaker& say) {
  if (running()) return false;
  repair_ = repair;
  report_ = {};
  began_ = now.steady;
  apart_ = static_cast<std::uint32_t>(apart.count());
  deeper_.clear();
  next_bucket_ = 0;
  head_ = {};
  head_.cutoff = data_.highest();
  phase_ = phase::beginning;
  ask(head_, {}, say);
  return true;
}

void auditor::ask(audit_head head, std::string_view body, const speaker& say) {
  head_ = head;
  answered_ = false;
  std::string out = encode(head_);
  out += body;
  say(frame_type::audit, out);
}

// The next question: keys of a bucket that differs, or digests of more buckets.
void auditor::ask_next(instant now, const speaker& say) {
  audit_head head;
  head.cutoff = head_.cutoff;
  head.expiry_after = unix_seconds(now.wall) + walk_seconds + apart_;
  if (phase_ == phase::draining)
    bits_ = static_cast<unsigned>(std::bit_width(data_.items() / items_per_bucket));
  if (!deeper_.empty()) {
    phase_ = phase::keys;
    head.kind = audit_kind::keys;
    head.bits = deeper_.back().bits;
    head.first = deeper_.back().number;
    head.count = 1;
    deeper_.pop_back();
  } else if (next_bucket_ < std::uint64_t{1} << bits_) {
    phase_ = phase::digests;
    head.kind = audit_kind::digests;
    head.bits = bits_;
    head.first = next_bucket_;
    head.count = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(audit_buckets_max, (std::uint64_t{1} << bits_) - next_bucket_));
    next_bucket_ += head.count;
  } else {
    return finish(now);
  }
  ask(head, {}, say);
  ours_.begin(head, phase_ == phase::keys);
}

const char* auditor::hear(std::string_view payload, instant now, const speaker& say) {
  const auto head = take_audit_head(payload);
  if (!head) return "malformed audit answer";
  // Of an audit that was given up, say.
  if (!running() || head->kind != head_.kind || head->first != head_.first ||
      head->bits != head_.bits || answered_)
    return nullptr;
  if (phase_ == phase::beginning) {
    head_.cutoff = head->cutoff;
    data_.observe(head_.cutoff);
    goal_ = sender_.journal_ends();
    phase_ = phase::draining;
    return nullptr;
  }
  if (phase_ == phase::checking) {
    if (!hear_verdicts(payload)) return "malformed audit answer";
    ask_next(now, say);
    return nullptr;
  }
  answered_ = true;
  answer_ = payload;
  answer_cut_short_ = (head->flags & audit_head::cut_short) != 0;
  if (!ours_.running()) compare(now, say);
  return nullptr;
}

void auditor::compare(instant now, const speaker& say) {
  if (phase_ == phase::digests) {
    // A body that does not fit the question differs everywhere; nothing worse can come of it.
    (void)compare_digests();
  } else if (compare_keys(now, say)) {
    return;  // the check is under way
  }
  ask_next(now, say);
}

bool auditor::compare_digests() {
  std::string_view body = answer_;
  bool well_formed = true;
  for (std::uint32_t i = 0; i < head_.count; ++i) {
    const audit_digest mine = ours_.digests()[i];
    const auto other = take_audit_digest(body);
    report_.compared += mine.items;
    well_formed = well_formed && other;
    if ((!other || *other != mine) && deeper_.size() < deeper_max)
      deeper_.push_back({head_.bits, head_.first + i});
  }
  return well_formed;
}

// Asks about the keys that are not the same in both lists; false: there are none.
bool auditor::compare_keys(instant now, const speaker& say) {
  if ((answer_cut_short_ || ours_.cut_short()) && head_.bits + split_bits <= audit_bits_max) {
    for (std::uint64_t part = 0; part < std::uint64_t{1} << split_bits; ++part)
      deeper_.push_back({head_.bits + split_bits, (head_.first << split_bits) + part});
    return false;
  }
  std::map<std::string_view, entry> mine;
  for (std::string_view list = ours_.items(); const auto item = take_audit_item(list);)
    mine[item->key] = {item->digest, item->changed};
  std::string body;
  asked_.clear();
  for (std::string_view list = answer_; const auto item = take_audit_item(list);) {
    const auto found = mine.find(item->key);
    if (found != mine.end() && found->second.digest == item->digest) {
      mine.erase(found);
    } else if (found == mine.end()) {
      // Not in our list: dropped here, changed since, or missing.
      const audit_verdict verdict = judge(head_, *item, now);
      if (verdict == audit_verdict::dropped) ++report_.dropped;
      if (verdict != audit_verdict::differs) continue;
      append(body, audit_item{0, version(), item->key});
      asked_.emplace_back(item->key);
    }
  }
  for (const auto& [key, state] : mine) {
    append(body, audit_item{state.digest, state.changed, key});
    asked_.emplace_back(key);
  }
  if (asked_.empty()) return false;
  audit_head head = head_;
  head.kind = audit_kind::check;
  if (repair_) head.flags |= audit_head::repair;
  phase_ = phase::checking;
  ask(head, body, say);
  return true;
}

bool auditor::hear_verdicts(std::string_view verdicts) {
  if (verdicts.size() != asked_.size()) return false;
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    const auto verdict = static_cast<audit_verdict>(verdicts[i]);
    if (verdict == audit_verdict::dropped) ++report_.dropped;
    if (verdict != audit_verdict::differs) continue;
    ++report_.differing;
    if (report_.samples.size() < samples_max) report_.samples.push_back(asked_[i]);
    if (!repair_) continue;
    data_.journal_again(asked_[i]);
    ++report_.repaired;
  }
  asked_.clear();
  return true;
}

void auditor::finish(instant now) {
  phase_ = phase::idle;
  report_.ended = now.wall;
  report_.milliseconds = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.steady - began_).count());
  reported_ = true;
}

}  // namespace tandem::replication
