#!/usr/bin/env python3
"""The rules of the source tree, checked: layers, purity, headers, names, what lies at the top.

  layers.py              checks the tree that this file is in
  layers.py --self-test  also checks that each rule finds its violation in a made-up tree

CMakeLists.txt is the source of the layers: tandem_library(FOLDER DEPENDS folder... ).
Prints a line per violation, FILE:LINE: what; exit status 1 if there is any.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

TOP_LEVEL = {"CMakeLists.txt", "proxy", "common", "config", "tests", "deploy", "README.md",
             "LICENSE"}  # and dot-files
SOURCES = (".cc", ".h")
ASIO_HEADER = "proxy/asio.h"
# The process's own main is the only source outside the libraries.
PROGRAM_FOLDERS = ("tests",)

# common/ is pure: no socket, no thread started, no clock read, no logging, no environment. Locks
# and atomics are allowed, for its callers' threads.
IMPURE_INCLUDES = re.compile(
    r"^(sys/(socket|epoll|select|time|un|stat|mman|resource|wait)\.h|netinet/.*|arpa/.*|netdb\.h|"
    r"poll\.h|unistd\.h|fcntl\.h|signal\.h|csignal|pthread\.h|time\.h|ctime|thread|future|"
    r"condition_variable|iostream|fstream|filesystem|random|spdlog/.*|boost/asio.*|fmt/.*|"
    r"openssl/.*)$")
IMPURE_CALLS = re.compile(
    r"(::now\s*\(|\bgetenv\s*\(|\bclock_gettime\s*\(|\bgettimeofday\s*\(|\bs?rand\s*\(|"
    r"\brandom_device\b|\bspdlog::|\bstd::(j?thread|async)\b|\bsleep_(for|until)\b|"
    r"\bstd::time\s*\(|(?<![\w.>])time\s*\(\s*(nullptr|NULL|0)\s*\)|\bstd::(cout|cerr|clog)\b)")
# The engine gets its memory from the kernel, in one file; libcrypto compares and makes proofs.
IMPURE_ALLOWED = {("common/engine/region.cc", "sys/mman.h"),
                  ("common/admin/site.cc", "openssl/crypto.h"),
                  ("common/replication/secret.cc", "openssl/crypto.h"),
                  ("common/replication/secret.cc", "openssl/hmac.h")}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
GOOD_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
GOOD_FOLDER = re.compile(r"^[a-z][a-z0-9_.]*$")


def libraries(cmake_text):
    """{folder: folders it may include} of the tandem_library() calls, itself included."""
    allowed = {}
    for call in re.finditer(r"^tandem_library\(\s*([\w/]+)([^)]*)\)", cmake_text, re.M):
        folder, rest = call.group(1), call.group(2).split()
        depends, keyword = [], None
        for word in rest:
            if word in ("DEPENDS", "SYSTEM"):
                keyword = word
            elif keyword == "DEPENDS":
                depends.append(word)
        allowed[folder] = {folder, *depends}
    return allowed


def without_comments(text):
    """The text with comments and string literals blanked, lines kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'
                         r"'(?:\\.|[^'\\\n])+'", re.S)

    def blank(found):
        # A digit separator is no character literal: 1'000'000 is left as it is.
        if found.group().startswith("'") and found.start() and \
                text[found.start() - 1].isalnum():
            return found.group()
        return re.sub(r"[^\n]", " ", found.group())
    return pattern.sub(blank, text)


class Checker:
    """Collects the violations of a tree given as its root and its files."""

    def __init__(self, root, files):
        self.root = pathlib.Path(root)
        self.files = sorted(files)
        self.known = set(files)
        self.violations = []
        self.includes_checked = 0
        self.allowed = libraries((self.root / "CMakeLists.txt").read_text())

    def report(self, path, line, text):
        self.violations.append(f"{path}:{line}: {text}")

    def run(self):
        for folder, reach in self.allowed.items():
            for other in reach - set(self.allowed):
                self.report("CMakeLists.txt", 1, f"{folder} depends on unknown {other}")
        self.check_top_level()
        for path in self.files:
            self.check_names(path)
            if path.endswith(SOURCES):
                self.check_source(path)
        return self.violations

    # ---- the tree

    def check_top_level(self):
        for entry in sorted({path.split("/")[0] for path in self.files}):
            if entry not in TOP_LEVEL and not entry.startswith("."):
                self.report(entry, 1, "does not belong at the top level")

    def check_names(self, path):
        parts = path.split("/")
        if parts[0] not in ("common", "config", "proxy", "tests"):
            return
        if not path.endswith((*SOURCES, ".py", ".sh")):
            return
        for folder in parts[:-1]:
            if not GOOD_FOLDER.match(folder):
                self.report(path, 1, f"folder {folder!r} is not snake_case")
        if not GOOD_NAME.match(parts[-1].rsplit(".", 1)[0]):
            self.report(path, 1, "file name is not snake_case")
        if parts[:2] == ["tests", "unit"] and path.endswith(".cc") and \
                not path.endswith("_test.cc"):
            self.report(path, 1, "a unit test is called *_test.cc, others are not built")
        if parts[0] != "tests" and path.endswith(SOURCES) and \
                "/".join(parts[:-1]) not in self.allowed:
            self.report(path, 1, "lies in no folder that tandem_library() builds")

    # ---- one source

    def check_source(self, path):
        text = (self.root / path).read_text(encoding="utf-8")
        code = without_comments(text)
        lines, code_lines = text.split("\n"), code.split("\n")
        # The code of a header has said it there, a unit test says it by its cases' names.
        says_elsewhere = path.endswith(".cc") and (
            (path[:-3] + ".h") in self.known or path.startswith("tests/unit/"))
        if not says_elsewhere and not re.match(r"(//|/\*)\s*\S", text):
            self.report(path, 1, "does not open with a comment that says what it is")
        if path.endswith(".h"):
            first = next((line for line in code_lines if line.strip()), "")
            if first.strip() != "#pragma once":
                self.report(path, 1, "a header begins with #pragma once after its comment")
        folder = path.rsplit("/", 1)[0]
        for number, line in enumerate(lines, 1):
            # Includes are read from the raw line: their names look like strings.
            found = INCLUDE.match(line)
            if found and code_lines[number - 1].lstrip().startswith("#"):
                self.check_include(path, folder, number, *found.groups())
        if path.startswith("common/"):
            for number, line in enumerate(code_lines, 1):
                for call in IMPURE_CALLS.finditer(line):
                    self.report(path, number, f"common/ is pure: {call.group().strip()}")

    def check_include(self, path, folder, number, kind, name):
        self.includes_checked += 1
        if name.startswith("boost/asio") and path != ASIO_HEADER:
            self.report(path, number, f"only {ASIO_HEADER} includes {name}")
        if (path.startswith("common/") and IMPURE_INCLUDES.match(name)
                and (path, name) not in IMPURE_ALLOWED):
            self.report(path, number, f"common/ is pure: <{name}>")
        if kind == "<":
            return
        if not (self.root / name).is_file():
            self.report(path, number, f'"{name}" is not a path from the root of the tree')
            return
        target = name.rsplit("/", 1)[0]
        if folder.split("/")[0] in PROGRAM_FOLDERS:
            return
        if target not in self.allowed.get(folder, set()):
            self.report(path, number, f"{folder} may not include {target}")


def tracked_files(root):
    """What git holds or would take: untracked files count, ignored ones do not."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=True).stdout.split("\n")
    return [path for path in listed if path and (pathlib.Path(root) / path).is_file()]


# ---- self-test ---------------------------------------------------------------------------------

CLEAN_TREE = {
    "CMakeLists.txt": "tandem_library(common/base)\n"
                      "tandem_library(common/engine DEPENDS common/base)\n"
                      "tandem_library(proxy\n  DEPENDS common/base common/engine SYSTEM x::y)\n",
    "common/base/a.h": "// Says what it is: std::thread, ::now() in a comment are no sin.\n"
                       "#pragma once\n#include <mutex>\n#include <atomic>\n",
    "common/base/a.cc": '// The code of it.\n#include "common/base/a.h"\n'
                        'const char* text = "getenv(";\nint big = 1\'000\'000;\n',
    "common/engine/e.h": '// An engine.\n#pragma once\n#include "common/base/a.h"\n',
    "proxy/asio.h": "// The only one.\n#pragma once\n#include <boost/asio.hpp>\n",
    "proxy/main.cc": '// Main.\n#include "proxy/asio.h"\n#include "common/engine/e.h"\n',
    "tests/unit/a_test.cc": '// Tests.\n#include "common/base/a.h"\n',
}

# (file, its text, what must be reported)
SINS = [
    ("common/base/b.cc", '// B.\n#include "common/engine/e.h"\n', "may not include common/engine"),
    ("common/engine/b.cc", '// B.\n#include "proxy/asio.h"\n', "may not include proxy"),
    ("common/base/b.cc", '// B.\n#include "a.h"\n', "is not a path from the root"),
    ("proxy/b.cc", "// B.\n#include <boost/asio/ip/tcp.hpp>\n", "only proxy/asio.h includes"),
    ("common/base/b.cc", "// B.\n#include <sys/socket.h>\n", "pure: <sys/socket.h>"),
    ("common/base/b.cc", "// B.\n#include <thread>\n", "pure: <thread>"),
    ("common/base/b.cc", "// B.\n#include <spdlog/spdlog.h>\n", "pure: <spdlog/spdlog.h>"),
    ("common/base/b.cc", "// B.\n#include <openssl/ssl.h>\n", "pure: <openssl/ssl.h>"),
    ("common/base/b.cc", "// B.\nauto t = std::chrono::steady_clock::now();\n", "pure: ::now("),
    ("common/base/b.cc", "// B.\nauto e = getenv(name);\n", "pure: getenv("),
    ("common/base/b.cc", "// B.\nint r = rand();\n", "pure: rand("),
    ("common/base/b.cc", "// B.\nauto r = clock_gettime(a, b);\n", "pure: clock_gettime("),
    ("common/base/b.cc", "// B.\nstd::thread t;\n", "pure: std::thread"),
    ("common/base/b.h", "#pragma once\n", "does not open with a comment"),
    ("common/base/b.cc", "int b;\n", "does not open with a comment"),
    ("common/base/b.h", "// B.\nint b;\n", "begins with #pragma once"),
    ("common/base/BadName.h", "// B.\n#pragma once\n", "not snake_case"),
    ("common/extra/b.h", "// B.\n#pragma once\n", "lies in no folder"),
    ("tests/unit/helper.cc", "// B.\n", "a unit test is called"),
    ("scripts/b.sh", "true\n", "does not belong at the top level"),
    ("CMakeLists.txt", "tandem_library(common/base DEPENDS common/nowhere)\n", "unknown common/now"),
]


def check_made_up_tree(files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            file = pathlib.Path(root) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return Checker(root, list(files)).run()


def self_test():
    """Failures of the rules themselves: a clean tree reported, or a sin passed over."""
    failures = [f"a clean tree is reported: {found}" for found in check_made_up_tree(CLEAN_TREE)]
    for path, text, expected in SINS:
        found = check_made_up_tree({**CLEAN_TREE, path: text})
        if not any(expected in line for line in found):
            failures.append(f"{path} with {text!r}: {expected!r} is not reported, but {found}")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        failures = self_test()
        for failure in failures:
            print(f"self-test: {failure}")
        print(f"self-test: {len(SINS)} violations tried, {len(failures)} failures")
        if failures:
            return 1
    root = pathlib.Path(__file__).resolve().parents[1]
    checker = Checker(root, tracked_files(root))
    violations = checker.run()
    for violation in violations:
        print(violation)
    print(f"{len(checker.files)} files, {checker.includes_checked} includes, "
          f"{len(checker.allowed)} libraries: {len(violations)} violations")
    if not checker.allowed or not checker.includes_checked:
        print("nothing was checked")
        return 1
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
