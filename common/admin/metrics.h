// A snapshot in Prometheus' text format 0.0.4. What memcached has too is named as
// prometheus/memcached_exporter names it, so that its dashboards work on this directly; the rest is
// memtandem_*. Pure.
#pragma once

#include <string>

#include "common/admin/snapshot.h"

namespace tandem::admin {

inline constexpr std::string_view metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

std::string metrics_text(const snapshot& s);

}  // namespace tandem::admin
