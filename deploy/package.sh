#!/usr/bin/env bash
# Builds the Debian package of this checkout: deploy/package.sh [OUTPUT-FOLDER]. With MEMTANDEM_BUILD
# set to a folder that cmake has built in, its programs are packed and nothing is compiled.
# The packages that it needs are the Build-Depends of deploy/debian/control.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
output=$(realpath -m "${1:-$here/..}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A copy, so that the checkout stays clean; debian/ has to lie at its top.
mkdir "$work/memtandem"
git -C "$here" ls-files -z --cached --others --exclude-standard |
  tar -C "$here" --null --files-from=- --ignore-failed-read -c | tar -C "$work/memtandem" -x
cp -r "$here/deploy/debian" "$work/memtandem/debian"

options=(-us -uc -b)
if [[ -n ${MEMTANDEM_BUILD-} ]]; then
  MEMTANDEM_BUILD=$(realpath "$MEMTANDEM_BUILD")
  export MEMTANDEM_BUILD
  options+=(-d)
fi
(cd "$work/memtandem" && DEB_BUILD_OPTIONS="noddebs ${DEB_BUILD_OPTIONS-}" dpkg-buildpackage "${options[@]}")
mkdir -p "$output"
cp "$work"/*.deb "$output"
ls "$output"/memtandem_*.deb
