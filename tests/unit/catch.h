// Catch2, version 2 or 3, for every unit test; precompiled. In a test REQUIRE asserts, and CHECK is
// the program's own (common/base/check.h): Catch's macro of that name must not reach the inline
// code of our headers.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#undef CHECK
#include "common/base/check.h"

// What repeats itself, with other seeds or in every order, does less of it in a sanitized build.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif
