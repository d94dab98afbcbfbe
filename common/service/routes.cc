#include "common/service/routes.h"

#include <algorithm>

#include "common/protocol/tokens.h"

namespace tandem::service {

using protocol::verb;

namespace {

bool changes_something(const protocol::request& r) {
  switch (r.what) {
    case verb::set:
    case verb::add:
    case verb::replace:
    case verb::append:
    case verb::prepend:
    case verb::cas:
    case verb::remove:
    case verb::incr:
    case verb::decr:
    case verb::touch:
    case verb::gat:
    case verb::gats:
    case verb::meta_set:
    case verb::meta_delete:
    case verb::meta_arithmetic:
    case verb::flush_all:
      return true;
    case verb::meta_get:
      // A new expiry, an item made on a miss, and one that is to be refreshed by the first to ask.
      return r.meta.has('T') || r.meta.has('N') || r.meta.has('R');
    default:
      return false;
  }
}

}  // namespace

bool write_routes::covers_key(std::string_view key) const {
  return std::any_of(prefixes_.begin(), prefixes_.end(),
                     [&](const std::string& p) { return key.starts_with(p); });
}

bool write_routes::covers(const command& r) const {
  if (!changes_something(r)) return false;
  if (prefixes_.empty() || r.what == verb::flush_all) return true;
  if (r.what != verb::gat && r.what != verb::gats)
    return covers_key(static_cast<const hashed_key&>(command_key(r)).key);
  protocol::token_cursor keys(r.rest);
  for (auto key = keys.next(); !key.empty(); key = keys.next())
    if (covers_key(key)) return true;
  return false;
}

}  // namespace tandem::service
