"""An operator's session on an empty machine, by the README alone.

The `sh` blocks of its section "Five minutes with the package" are run in their order, as root, on a
machine of its own (machine.py) with systemd as its first process. An answer that the README tells
behind a '#' is waited for: an operator would look again. The programs are those under test; packages
from the network are those that are installed here.
"""

import pathlib
import re
import shlex
import shutil
import sys
import tempfile

import machine
from harness import SOURCE

SECTION = "Five minutes with the package"
ASKED = re.compile(r"^(memtandemctl .*?|promtool .*?)\s+# (.*)$")
PATIENCE_SECONDS = 40

PROLOGUE = f"""
set -euo pipefail
export HOME=/root DEBIAN_FRONTEND=noninteractive PS4='$ '
exec 2>&1
# until_it_says TEXT COMMAND...: again until the command answers well and with this.
until_it_says() {{
  local text=$1 said code
  shift
  {{ set +x; }} 2>/dev/null
  for ((i = 0; i < {PATIENCE_SECONDS} * 5; ++i)); do
    code=0
    said=$("$@" 2>&1) || code=$?
    if [[ $code == 0 && $said == *"$text"* ]]; then printf '%s\\n' "$said"; set -x; return; fi
    sleep 0.2
  done
  printf '%s\\nFAILED: it does not say: %s\\n' "$said" "$text"
  exit 1
}}
trap 'code=$?; [[ $code == 0 ]] || {{ set +x; systemctl status 'memtandem*' prometheus --no-pager -l -n 0; journalctl --no-pager -q _TRANSPORT=stdout + _TRANSPORT=journal | tail -60; }}; exit $code' EXIT
"""


def commands():
    """The README's lines, those with an answer behind them as a wait for it."""
    readme = (SOURCE / "README.md").read_text()
    section = re.search(rf"^## {SECTION}$(.*?)^## ", readme, re.M | re.S)
    if not section:
        sys.exit(f"README.md has no section {SECTION!r}")
    lines = []
    for block in re.findall(r"^```sh\n(.*?)^```$", section.group(1), re.M | re.S):
        for line in block.splitlines():
            asked = ASKED.match(line)
            lines.append(f"until_it_says {shlex.quote(asked.group(2).strip())} {asked.group(1)}"
                         if asked else line)
    return lines


def main():
    machine.require("dpkg-buildpackage", "dh", "scdoc", "prometheus", "promtool",
                    "/lib/systemd/systemd")
    lines = commands()
    waits = sum(line.startswith("until_it_says ") for line in lines)
    if waits < 10 or not any("promtool" in line for line in lines):
        sys.exit(f"only {waits} answers are told by the README: the section has changed its form")
    environment = "".join(f"export {name}={shlex.quote(value)}\n"
                          for name, value in machine.package_environment().items())
    script = (f"{PROLOGUE}{environment}cd {shlex.quote(str(SOURCE))}\nset -x\n"
              + "\n".join(lines) + "\nset +x\necho 'the session is over'\n")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="memtandem-session-"))
    try:
        text = machine.inside(directory, script, systemd=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if not text.endswith("the session is over\n"):
        sys.exit(f"the session stopped:\n{text[-8000:]}")
    print("\n".join(line for line in text.splitlines() if line.startswith("$ until_it_says")))
    print(f"{waits} answers were as the README tells")


if __name__ == "__main__":
    main()
