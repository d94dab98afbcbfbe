#include "common/service/prefix_statistics.h"

namespace tandem::service {

prefix_statistics::counts* prefix_statistics::find(std::string_view key) {
  // A key with a NUL before the delimiter could not be told from its beginning in the dump.
  constexpr std::string_view stops("\0:", 2);
  const std::size_t length = key.find_first_of(stops);
  if (length == std::string_view::npos || key[length] != delimiter) return nullptr;
  const std::string_view prefix = key.substr(0, length);
  const auto found = prefixes_.find(prefix);
  if (found != prefixes_.end()) return &found->second;
  if (prefixes_.size() >= prefixes_max) return nullptr;
  return &prefixes_[std::string(prefix)];
}

void prefix_statistics::record_get(std::string_view key, bool hit) {
  const std::lock_guard guard(mutex_);
  if (counts* c = find(key)) {
    ++c->gets;
    if (hit) ++c->hits;
  }
}

void prefix_statistics::record_set(std::string_view key) {
  const std::lock_guard guard(mutex_);
  if (counts* c = find(key)) ++c->sets;
}

void prefix_statistics::record_delete(std::string_view key) {
  const std::lock_guard guard(mutex_);
  if (counts* c = find(key)) ++c->deletes;
}

void prefix_statistics::clear() {
  const std::lock_guard guard(mutex_);
  prefixes_.clear();
}

std::string prefix_statistics::dump() const {
  const std::lock_guard guard(mutex_);
  std::string text;
  for (const auto& [prefix, c] : prefixes_) {
    text += "PREFIX " + prefix + " get " + std::to_string(c.gets) + " hit " +
            std::to_string(c.hits) + " set " + std::to_string(c.sets) + " del " +
            std::to_string(c.deletes) + "\r\n";
  }
  return text + "END\r\n";
}

}  // namespace tandem::service
