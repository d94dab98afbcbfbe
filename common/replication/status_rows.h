// A node's status as names and values: what `stats replication` and the command `status` show.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/replication/node.h"

namespace tandem::replication {

using status_row = std::pair<std::string, std::string>;

// Neither name nor value holds a space or a line's end, and no value is empty: what has none says
// "none". The names stay as they are from version to version.
std::vector<status_row> status_rows(const node_status& status);

// A text as a value of a row: what would end a word is replaced.
std::string one_word(std::string text);

}  // namespace tandem::replication
