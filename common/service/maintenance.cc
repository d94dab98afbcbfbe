#include "common/service/maintenance.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

#include "common/protocol/numbers.h"
#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"

namespace tandem::service {

namespace reply = protocol::reply;
using protocol::parse_strict;

namespace {

// The words behind a command, up to more than any of them takes; those that are not there are
// empty.
struct word_list {
  static constexpr std::size_t words_max = 8;

  explicit word_list(std::string_view text) {
    protocol::token_cursor words(text);
    for (auto word = words.next(); !word.empty() && count < words_max; word = words.next())
      all[count++] = word;
  }
  std::string_view operator[](std::size_t i) const { return all[i]; }

  std::array<std::string_view, words_max> all;
  std::size_t count = 0;
};

std::optional<double> parse_ratio(std::string_view text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

// all, hash, or classes by number with commas between.
std::optional<slab_class_set> parse_classes(std::string_view text) {
  slab_class_set classes;
  if (text == "all" || text == "hash") return classes.set();
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const auto id = parse_strict<std::uint32_t>(text.substr(0, comma));
    if (!id || *id == 0 || *id >= classes.size()) return std::nullopt;
    classes.set(*id);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return classes;
}

std::unique_ptr<key_dump> begin_dump(execution& with, dump_form form, std::string_view which) {
  crawler& crawls = with.host.crawls();
  const auto classes = parse_classes(which);
  std::string_view answer = reply::ok;
  if (!crawls.enabled())
    answer = reply::crawler_disabled;
  else if (!with.host.policy().dumps)
    answer = form == dump_form::metadump ? reply::no_metadump : reply::no_mgdump;
  else if (!classes)
    answer = reply::crawler_bad_class;
  else if (!crawls.begin_dump())
    answer = reply::crawler_busy;
  with.out.append(answer);
  if (answer != reply::ok) return nullptr;
  return std::make_unique<key_dump>(form, *classes, crawls);
}

// What has expired is reclaimed as it falls due, so there is nothing to wait for.
std::string_view crawl(execution& with, std::string_view which) {
  crawler& crawls = with.host.crawls();
  if (!crawls.enabled()) return reply::crawler_disabled;
  if (which == "hash") return reply::crawler_error;  // for dumps only
  if (!parse_classes(which)) return reply::crawler_bad_class;
  if (crawls.dumping()) return reply::crawler_busy;
  crawls.crawled();
  return reply::ok;
}

std::string_view set_crawler(execution& with, std::string_view what, std::string_view value) {
  constexpr std::uint32_t sleep_max = 1'000'000;
  crawler& crawls = with.host.crawls();
  const auto number = parse_strict<std::uint32_t>(value);
  if (!number) return reply::bad_format;
  if (what == "tocrawl") {
    crawls.items_per_run.store(*number, std::memory_order_relaxed);
    return reply::ok;
  }
  if (*number > sleep_max) return reply::crawler_sleep_too_long;
  crawls.sleep_microseconds.store(*number, std::memory_order_relaxed);
  return reply::ok;
}

std::string_view set_automove(execution& with, const word_list& words) {
  constexpr std::uint32_t level_max = 2, window_min = 3, window_max = 1800;
  crawler& crawls = with.host.crawls();
  const std::string_view what = words[1];
  if (what == "ratio" || what == "freeratio")
    return parse_ratio(words[2]) ? reply::ok : reply::unknown_command;
  const bool window = what == "window";
  const auto number = parse_strict<std::uint32_t>(window ? words[2] : what);
  if (!number) return reply::bad_format;
  if (window) {
    if (*number < window_min || *number > window_max) return reply::bad_automove_window;
    crawls.automove_window.store(*number, std::memory_order_relaxed);
    return reply::ok;
  }
  if (*number > level_max) return reply::unknown_command;
  crawls.automove.store(*number, std::memory_order_relaxed);
  return reply::ok;
}

std::string_view tune_lru(const word_list& words) {
  constexpr std::uint64_t percent_max = 80;
  const auto hot = parse_strict<std::uint32_t>(words[1]);
  const auto warm = parse_strict<std::uint32_t>(words[2]);
  const auto hot_factor = parse_ratio(words[3]), warm_factor = parse_ratio(words[4]);
  if (!hot || !warm || !hot_factor || !warm_factor) return reply::unknown_command;
  if (std::uint64_t{*hot} + *warm > percent_max) return reply::bad_lru_percents;
  if (!(*hot_factor > 0) || !(*warm_factor > 0)) return reply::bad_lru_factors;
  return reply::ok;
}

}  // namespace

std::unique_ptr<key_dump> answer_lru_crawler(execution& with, std::string_view arguments) {
  const word_list words(arguments);
  const std::string_view what = words[0];
  std::string_view answer = reply::unknown_command;
  if (words.count == 2) {
    if (what == "metadump") return begin_dump(with, dump_form::metadump, words[1]);
    if (what == "mgdump") return begin_dump(with, dump_form::mgdump, words[1]);
    if (what == "crawl") answer = crawl(with, words[1]);
    if (what == "tocrawl" || what == "sleep") answer = set_crawler(with, what, words[1]);
  } else if (words.count == 1 && what == "enable") {
    answer = with.host.crawls().enable(true) ? reply::ok : reply::crawler_runs;
  } else if (words.count == 1 && what == "disable") {
    (void)with.host.crawls().enable(false);
    answer = reply::ok;
  }
  with.out.append(answer);
  return nullptr;
}

std::string_view lru_answer(std::string_view arguments) {
  const word_list words(arguments);
  if (words.count >= 5 && words[0] == "tune") return tune_lru(words);
  const bool mode = words[0] == "mode" && (words[1] == "flat" || words[1] == "segmented");
  const bool ttl = words[0] == "temp_ttl" && parse_strict<std::int32_t>(words[1]);
  return mode || ttl ? reply::ok : reply::unknown_command;
}

void answer_slabs_command(execution& with, std::string_view arguments) {
  const word_list words(arguments);
  std::string_view answer = reply::unknown_command;
  if (words.count == 3 && words[0] == "reassign")
    answer = reply::no_reassign;
  else if (words.count >= 2 && words[0] == "automove")
    answer = set_automove(with, words);
  with.out.append(answer);
}

}  // namespace tandem::service
