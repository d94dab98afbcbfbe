// `lru_crawler`, `lru` and `slabs`: what operators' scripts send a memcached. Arguments are checked
// and answered as memcached 1.6.45 does; apart from dumps they change nothing, because the LRU and
// the share of each band are the engine's own business here. Sub-commands match exactly. One thread
// at a time (the worker of the connection).
#pragma once

#include <memory>
#include <string_view>

#include "common/service/executor.h"
#include "common/service/key_dump.h"

namespace tandem::service {

// Null: answered. Else OK was answered and the dump is to be run to its end.
std::unique_ptr<key_dump> answer_lru_crawler(execution& with, std::string_view arguments);
// `lru`: checked, and without effect.
std::string_view lru_answer(std::string_view arguments);
void answer_slabs_command(execution& with, std::string_view arguments);

}  // namespace tandem::service
