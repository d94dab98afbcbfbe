#include "config/extended_options.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "config/text.h"

namespace tandem::config {
namespace {

enum class measure_unit {
  none,       // as the key takes it
  on,         // no value: true
  off,        // no value: false
  seconds,    // a bare number is seconds
  kibibytes,  // a bare number is KiB
  word,       // a number that stands for one of the key's words
};

struct extended {
  std::string_view name;
  std::string_view key;
  measure_unit measure = measure_unit::none;
  std::string_view words = {};  // of measure_unit::word: of 0, 1 and so on, separated by '|'
};

constexpr std::array offered = {
    extended{"maxconns_fast", "listen.reject_at_limit", measure_unit::on},
    extended{"no_maxconns_fast", "listen.reject_at_limit", measure_unit::off},
    extended{"idle_timeout", "listen.idle_timeout", measure_unit::seconds},
    extended{"write_timeout", "listen.write_timeout", measure_unit::seconds},
    extended{"ssl_chain_cert", "tls.certificate_file"},
    extended{"ssl_key", "tls.key_file"},
    // SSL_FILETYPE_PEM and SSL_FILETYPE_ASN1.
    extended{"ssl_keyformat", "tls.key_format", measure_unit::word, "|pem|der"},
    // 3 differs from 2 in renegotiation only, which is off.
    extended{"ssl_verify_mode", "tls.verify", measure_unit::word, "none|request|require|require"},
    extended{"ssl_ca_cert", "tls.ca_file"},
    extended{"ssl_ciphers", "tls.ciphers"},
    extended{"ssl_min_version", "tls.min_version", measure_unit::word, "1.0|1.1|1.2|1.3"},
    extended{"ssl_wbuf_size", "tls.write_buffer", measure_unit::kibibytes},
    extended{"ssl_session_cache", "tls.session_cache", measure_unit::on},
    extended{"ssl_kernel_tls", "tls.kernel_tls", measure_unit::on},
};

// Of memcached 1.6, about things that are not here or are done in another way.
constexpr std::array<std::string_view, 46> without_effect = {
    "hashpower",           "no_hashexpand",        "slab_reassign",        "slab_automove",
    "slab_automove_ratio", "slab_automove_window", "tail_repair_time",     "hash_algorithm",
    "lru_crawler",         "lru_crawler_sleep",    "lru_crawler_tocrawl",  "lru_maintainer",
    "hot_lru_pct",         "warm_lru_pct",         "hot_max_factor",       "warm_max_factor",
    "temporary_ttl",       "watcher_logbuf_size",  "worker_logbuf_size",   "slab_sizes",
    "slab_chunk_max",      "track_sizes",          "no_inline_ascii_resp", "modern",
    "no_modern",           "no_chunked_items",     "no_slab_reassign",     "no_slab_automove",
    "inline_ascii_resp",   "no_lru_crawler",       "no_lru_maintainer",    "no_drop_privileges",
    "resp_obj_mem_limit",  "read_buf_mem_limit",   "relaxed_privileges",   "sock_cookie_id",
    "ext_page_size",       "ext_wbuf_size",        "ext_threads",          "ext_item_size",
    "ext_item_age",        "ext_low_ttl",          "ext_drop_unread",      "ext_recache_rate",
    "ext_compact_under",   "ext_max_frag",
};

struct refused {
  std::string_view name;
  std::string_view reason;
};
constexpr std::array not_offered = {
    refused{"drop_privileges", "system calls are filtered by the systemd unit"},
    refused{"ext_path", "there is no external storage"},
    refused{"proxy_config", "it is no proxy"},
};

// The word that stands at place `number`, or nothing.
std::string_view word_at(std::string_view words, std::int64_t number) {
  for (; number > 0; --number) {
    const std::size_t bar = words.find('|');
    if (bar == std::string_view::npos) return {};
    words.remove_prefix(bar + 1);
  }
  return words.substr(0, words.find('|'));
}

void set_extended(const extended& which, std::string_view text, bool has_value, settings& into) {
  const std::string where = "-o " + std::string(which.name);
  const key& target = key_at(which.key);
  const bool on_or_off = which.measure == measure_unit::on || which.measure == measure_unit::off;
  if (on_or_off) {
    if (has_value) return into.fail(where + ": takes no value");
    return into.set(target, which.measure == measure_unit::on, source::flag, where);
  }
  if (text.empty()) return into.fail(where + ": needs a value");
  std::string value(text);
  if (which.measure == measure_unit::seconds && all_digits(text)) value += "s";
  if (which.measure == measure_unit::kibibytes && all_digits(text)) value += "KiB";
  if (which.measure == measure_unit::word) {
    const auto number = parse_integer(text);
    const std::string_view word = number && *number < 10 ? word_at(which.words, *number) : "";
    if (!word.empty()) value = word;
  }
  into.set_text(target, value, source::flag, where);
}

void apply_one(std::string_view entry, settings& into) {
  const std::size_t equals = entry.find('=');
  const std::string_view name = trim(entry.substr(0, equals));
  const bool has_value = equals != std::string_view::npos;
  const std::string_view text = has_value ? trim(entry.substr(equals + 1)) : std::string_view();
  for (const extended& one : offered)
    if (one.name == name) return set_extended(one, text, has_value, into);
  const std::string where = "-o " + std::string(name);
  if (std::find(without_effect.begin(), without_effect.end(), name) != without_effect.end())
    return into.warn(where + ": has no effect");
  for (const refused& one : not_offered)
    if (one.name == name)
      return into.fail(where + ": is not offered (" + std::string(one.reason) + ")");
  std::vector<std::string_view> known(without_effect.begin(), without_effect.end());
  for (const extended& one : offered) known.push_back(one.name);
  const std::string_view near = nearest(name, known);
  into.fail(where + ": unknown extended option" +
            (near.empty() ? "" : " (did you mean '" + std::string(near) + "'?)"));
}

}  // namespace

void apply_extended(const std::vector<std::string>& given, settings& into) {
  for (const std::string& list : given)
    for (const std::string& entry : split_list(list)) apply_one(entry, into);
}

std::vector<std::string_view> extended_names(std::string_view key_path) {
  std::vector<std::string_view> names;
  for (const extended& one : offered)
    if (one.key == key_path) names.push_back(one.name);
  return names;
}

}  // namespace tandem::config
