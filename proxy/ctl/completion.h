// Shell completion, made from the program's own description of its commands and options. Pure.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

namespace tandem::ctl {

// shell: bash, zsh or fish; "" for any other.
std::string completion_text(const CLI::App& program, std::string_view shell);

}  // namespace tandem::ctl
