// The shard against a map: random operations are done to both, and every answer of the shard must
// be one the map allows. What the shard may lose (expired, flushed, evicted, capped, confirmed) it
// may lose at any time, but only with the floor that it promises. Used with a seeded generator by
// the unit test and with the fuzzer's bytes by the fuzzer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/hash.h"
#include "common/engine/shard.h"

namespace tandem::engine {

struct model_options {
  shard_limits limits;
  unsigned keys = 500;
  std::size_t value_max = 300 * 1024;  // item_size_max is best a little below
  bool never_full = false;             // the limit is so wide that no store may fail for memory
};

class engine_model {
 public:
  // `choose` gives the numbers that decide what is done.
  engine_model(const model_options& options, std::function<std::uint64_t()> choose)
      : options_(options), choose_(std::move(choose)), shard_(options.limits) {}

  const shard& tested() const { return shard_; }
  std::uint64_t walks_finished() const { return walks_finished_; }
  std::uint64_t pinned() const { return pins_.size(); }
  // What went wrong first; empty: nothing did.
  const std::string& complaint() const { return complaint_; }

  // One operation. False: see complaint().
  bool step() {
    const std::uint64_t operation = choose_() % 100;
    if (operation < 30)
      store(some_key());
    else if (operation < 55)
      find(some_key());
    else if (operation < 60)
      look(some_key());
    else if (operation < 68)
      erase(some_key());
    else if (operation < 76)
      touch(some_key());
    else if (operation < 79)
      drop(some_key());
    else if (operation < 83)
      store_reserved(some_key());
    else if (operation < 86)
      pin(some_key());
    else if (operation < 89)
      unpin();
    else if (operation < 94)
      walk();
    else if (operation < 96)
      pass_time();
    else if (operation < 98)
      housekeep();
    else if (operation == 98)
      flush();
    else
      resize();
    return complaint_.empty();
  }

  // Everything that can be compared at once. Takes time in the size of the shard.
  bool check_all() {
    if (!shard_.consistent()) complain("the shard is not consistent", "");
    std::uint64_t values = 0, tombstones = 0;
    std::size_t least = 0;
    std::set<const large_value*> larges;
    std::set<std::string> seen;
    cursor all;
    while (!all.done) {
      shard_.walk(all, 1000, [&](const item_view& item) {
        ++(item.meta.kind == item_kind::value ? values : tombstones);
        if (item.large) larges.insert(item.large);
        least += item.key.size() + item.value_size();
        compare(item);
        if (!seen.insert(std::string(item.key)).second) complain("walked twice", item.key);
      });
    }
    for (const auto& [value, content] : pins_) {
      larges.insert(value.get());
      if (bytes_of(*value) != content) complain("a pinned value changed", "");
    }
    std::size_t large_bytes = 0;
    for (const large_value* large : larges) large_bytes += large_value::footprint(large->size());
    const shard_statistics s = shard_.statistics();
    if (s.items != values || s.tombstones != tombstones) complain("gauges of items", "");
    // A value in many pieces takes a little more, for the list of them.
    const std::size_t lists = large_bytes / 128 + 32 * larges.size();
    if (s.large_bytes < large_bytes || s.large_bytes > large_bytes + lists)
      complain("gauge of large bytes", "");
    if (s.item_bytes + s.tombstone_bytes < least) complain("gauges of bytes", "");
    if (shard_.used_bytes() != s.log_bytes + s.index_bytes + s.large_bytes + s.warm_bytes + extra_)
      complain("used_bytes is not the sum of the gauges", "");
    for (const auto& [key, held] : std::map(held_))
      if (!seen.contains(key)) missing(key);
    return complaint_.empty();
  }

 private:
  struct state {
    item_meta meta;
    std::string value;
  };

  void complain(const std::string& what, std::string_view key) {
    if (complaint_.empty()) complaint_ = what + ": " + std::string(key);
  }

  // --- choices ---------------------------------------------------------------------------
  std::string some_key() {
    const std::uint64_t n = choose_() % options_.keys;
    std::string key = "key" + std::to_string(n);
    if (n % 16 == 0) key.resize(key_size_max, 'k');
    return key;
  }
  std::size_t some_size() {
    const std::uint64_t n = choose_();
    switch (n % 32) {
      case 0:
        return large_value_min - 1 + (n >> 8) % 3;
      case 1:
        return (n >> 8) % options_.value_max;
      case 2:
      case 3:
        return (n >> 8) % large_value_min;
      default:
        return (n >> 8) % 300;
    }
  }
  std::string some_value(std::size_t size) {
    std::string value(size, static_cast<char>('a' + serial_ % 26));
    const std::string mark = std::to_string(serial_++);
    value.replace(0, std::min(size, mark.size()), mark, 0, std::min(size, mark.size()));
    if (size > mark.size()) value.replace(size - mark.size(), mark.size(), mark);
    return value;
  }
  item_meta some_meta() {
    const std::uint64_t n = choose_();
    item_meta meta{.stored = next_version(), .flags = static_cast<std::uint32_t>(n >> 32)};
    if (n % 4 == 0)
      meta.exptime = unix_seconds(now_.wall) + static_cast<std::uint32_t>(n >> 8) % 20;
    if (n % 7 == 0) meta.touched = next_version();
    meta.marks = (n >> 16) & mark::all;
    if (meta.has_own_cas()) meta.cas = n >> 20;
    return meta;
  }
  version next_version() { return version(++ticks_, choose_() % 2); }

  // --- comparing -------------------------------------------------------------------------
  static std::string bytes_of(const large_value& value) {
    std::string bytes;
    while (bytes.size() < value.size()) bytes += value.extent_at(bytes.size());
    return bytes;
  }
  static std::string bytes_of(const item_view& item) {
    std::string bytes;
    while (bytes.size() < item.value_size()) bytes += item.piece_at(bytes.size());
    return bytes;
  }
  void compare(const item_view& item) {
    const auto it = held_.find(std::string(item.key));
    if (it == held_.end()) return complain("an item nobody stored", item.key);
    const state& expected = it->second;
    if (!(item.meta == expected.meta)) complain("not the last meta", item.key);
    if ((item.large != nullptr) != (expected.value.size() >= large_value_min))
      complain("large or not", item.key);
    if (bytes_of(item) != expected.value) complain("not the last value", item.key);
  }
  // The shard no longer has the key: was that allowed?
  void missing(const std::string& key) {
    const item_meta meta = held_.at(key).meta;
    const bool value = meta.kind == item_kind::value;
    const bool flushed = value && meta.stored <= shard_.flushed();
    const bool confirmed = !value && meta.stored <= confirmed_;
    const bool expired = value && meta.exptime != 0 && meta.exptime <= latest_seconds_;
    const bool squeezed = value ? options_.limits.evict && !options_.never_full : true;
    if (!flushed && !confirmed) {
      if (!expired && !squeezed) complain("lost", key);
      if (shard_.floor(hash_key(key)) < meta.stored) complain("lost without a floor", key);
    }
    forget(key);
  }
  void forget(const std::string& key) {
    held_.erase(key);
    staying_.erase(key);
  }
  bool visible(const item_meta& meta) const {
    return meta.kind == item_kind::value && meta.stored > shard_.flushed() &&
           (meta.exptime == 0 || meta.exptime > unix_seconds(now_.wall));
  }
  // Compares whatever is under the key. Returns whether something is.
  bool look(const std::string& key) {
    const auto found = shard_.find_any(hash_key(key), key);
    if (found)
      compare(*found);
    else if (held_.contains(key))
      missing(key);
    return found.has_value();
  }

  // --- operations ------------------------------------------------------------------------
  void stored(store_status status, const std::string& key, const item_meta& meta,
              std::string value) {
    const bool fits = meta.kind == item_kind::tombstone || shard_.fits(key.size(), value.size());
    if (status == store_status::stored) {
      if (!fits) complain("stored over item_size_max", key);
      if (shard_.used_bytes() > shard_.limits().memory_bytes) complain("over the limit", key);
      held_[key] = {meta, std::move(value)};
    } else if (options_.never_full && (fits || status != store_status::too_large)) {
      complain("not stored", key);
    }
    if (look(key) != held_.contains(key)) complain("stored, but not there", key);
  }
  void store(const std::string& key) {
    look(key);
    const item_meta meta = some_meta();
    std::string value = some_value(some_size());
    const store_status status = shard_.store(hash_key(key), key, meta, value, now_);
    stored(status, key, meta, std::move(value));
  }
  void store_reserved(const std::string& key) {
    look(key);
    std::string value = some_value(some_size());
    large_ref large = shard_.reserve_large(value.size(), now_);
    if (!large) {
      if (options_.never_full && shard_.fits(0, value.size())) complain("not reserved", key);
      return;
    }
    const bool leaves = choose_() % 4 == 0;  // the client goes away in the middle
    while (large->granted() < value.size()) {
      if (leaves && choose_() % 2 == 0) return;
      if (shard_.extend_large(*large, now_)) continue;
      if (options_.never_full) complain("not extended", key);
      return;
    }
    large->write(0, value);
    if (leaves) return;
    const item_meta meta = some_meta();
    if (choose_() % 4 == 0 && value.size() >= large_value_min)
      pins_.emplace_back(large, value.substr(0, value.size() / page_bytes * page_bytes));
    const store_status status = shard_.store(hash_key(key), key, meta, std::move(large), now_);
    stored(status, key, meta, std::move(value));
  }
  void erase(const std::string& key) {
    look(key);
    const item_meta meta{.stored = next_version(), .kind = item_kind::tombstone};
    const store_status status = shard_.store(hash_key(key), key, meta, std::string_view(), now_);
    if (status != store_status::stored) {
      if (options_.never_full) complain("not deleted", key);
      return;
    }
    held_[key] = {meta, ""};
    look(key);
  }
  void find(const std::string& key) {
    const bool access = choose_() % 4 != 0;
    const auto found = shard_.find(hash_key(key), key, now_, access);
    const auto it = held_.find(key);
    if (found) {
      compare(*found);
      if (it != held_.end() && !visible(it->second.meta)) complain("found, not visible", key);
      const auto again = shard_.find_any(hash_key(key), key);
      if (access && (!again || !again->fetched || again->last_access != unix_seconds(now_.wall)))
        complain("the access was not noted", key);
    } else if (it != held_.end()) {
      if (visible(it->second.meta))
        missing(key);
      else if (it->second.meta.kind == item_kind::value && look(key))
        complain("met dead and left there", key);
    }
  }
  void touch(const std::string& key) {
    look(key);
    const auto it = held_.find(key);
    item_meta meta = it == held_.end() ? item_meta{} : it->second.meta;
    meta.touched = choose_() % 8 ? next_version() : version{};
    meta.exptime = choose_() % 2 ? 0 : unix_seconds(now_.wall) + 10;
    if (shard_.update_meta(hash_key(key), key, meta)) {
      if (it == held_.end()) return complain("touched, but not there", key);
      it->second.meta = meta;
    } else if (it != held_.end()) {
      missing(key);
    }
    look(key);
  }
  void drop(const std::string& key) {
    const bool there = look(key);
    const version floor = choose_() % 2 ? next_version() : version{};
    if (shard_.drop(hash_key(key), key, floor) != there) complain("dropped or not", key);
    const version least = there ? std::max(floor, held_.at(key).meta.stored) : floor;
    if (shard_.floor(hash_key(key)) < least) complain("dropped without a floor", key);
    forget(key);
    if (look(key)) complain("dropped, but there", key);
  }
  void pin(const std::string& key) {
    const auto found = shard_.find_any(hash_key(key), key);
    if (!found || !found->large || pins_.size() >= 8) return;
    pins_.emplace_back(large_ref(const_cast<large_value*>(found->large)), bytes_of(*found->large));
  }
  void unpin() {
    if (pins_.empty()) return;
    const auto it = pins_.begin() + static_cast<std::ptrdiff_t>(choose_() % pins_.size());
    if (bytes_of(*it->first) != it->second) complain("a pinned value changed", "");
    pins_.erase(it);
  }
  void walk() {
    if (walk_.done || (walk_.position == 0 && walk_.bucket == 0)) {
      walk_ = {};
      staying_.clear();
      for (const auto& [key, held] : std::map(held_))
        if (look(key)) staying_.insert(key);
      // Keys that were lost just now are not expected either: look() forgets them.
    }
    shard_.walk(walk_, static_cast<unsigned>(1 + choose_() % 200), [&](const item_view& item) {
      compare(item);
      staying_.erase(std::string(item.key));
    });
    if (!walk_.done) return;
    ++walks_finished_;
    for (const std::string& key : std::set(staying_))
      if (look(key)) complain("stayed, but was not walked over", key);
  }
  void pass_time() {
    const auto n = static_cast<std::int64_t>(choose_() % 16);
    now_.wall += std::chrono::seconds(n == 0 ? -3 : n);  // a wall clock may be set back
    latest_seconds_ = std::max(latest_seconds_, unix_seconds(now_.wall));
  }
  void housekeep() {
    if (choose_() % 4 == 0)
      confirmed_ = std::max(confirmed_, version(ticks_ - choose_() % 10000, 0));
    shard_.housekeep(static_cast<unsigned>(choose_() % 300), now_, confirmed_);
  }
  void flush() {
    if (choose_() % 4 != 0) return;
    const version watermark(ticks_ - choose_() % 10000, 1);
    const version before = shard_.flushed();
    shard_.flush(watermark);
    if (shard_.flushed() != std::max(before, watermark)) complain("the flush watermark", "");
  }
  void resize() {
    const std::uint64_t n = choose_();
    const std::size_t extra = (n >> 8) % (options_.limits.memory_bytes / 4);
    // Where nothing may be evicted the owner's bytes could push the shard over its limit.
    const std::size_t rest = shard_.used_bytes() - extra_;
    if (!options_.limits.evict && rest + extra > options_.limits.memory_bytes) return;
    extra_ = extra;
    shard_.set_extra_bytes(extra_, now_);
    if (options_.limits.evict && !options_.never_full)
      (void)shard_.set_limit(options_.limits.memory_bytes * (4 + n % 4) / 4, now_);
  }

  model_options options_;
  std::function<std::uint64_t()> choose_;
  shard shard_;
  std::map<std::string, state> held_;
  std::vector<std::pair<large_ref, std::string>> pins_;
  std::set<std::string> staying_;  // there since the walk began, not yet walked over
  cursor walk_;
  std::uint64_t walks_finished_ = 0;
  version confirmed_;
  instant now_{wall_time(std::chrono::seconds(1'800'000'000)), {}};
  std::uint32_t latest_seconds_ = 1'800'000'000;
  std::uint64_t ticks_ = 1'000'000;
  std::uint64_t serial_ = 0;
  std::size_t extra_ = 0;
  std::string complaint_;
};

}  // namespace tandem::engine
