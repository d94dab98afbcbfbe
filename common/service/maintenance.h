// `lru_crawler`, `lru` and `slabs`: what operators' scripts send a memcached. Answered as memcached
// 1.6.45 does that was started without slab reassignment and without an LRU maintainer, because
// both are the engine's own business here; sub-commands match exactly. One thread at a time (the
// worker of the connection).
#pragma once

#include <memory>
#include <string_view>

#include "common/service/executor.h"
#include "common/service/key_dump.h"

namespace tandem::service {

// Null: answered. Else OK was answered and the dump is to be run to its end.
std::unique_ptr<key_dump> answer_lru_crawler(execution& with, std::string_view arguments);
void answer_lru(execution& with, std::string_view arguments);
void answer_slabs_command(execution& with, std::string_view arguments);

}  // namespace tandem::service
