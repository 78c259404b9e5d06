#!/usr/bin/env bash
# Installs the independent programs that integration tests talk to: DCMTK (findscu, storescu, echoscu, …).
# Without them those tests skip and say why; with ISTHMUS_REQUIRE_PEERS=1 a missing peer is a failure.
set -euo pipefail

missing() {
  echo "peers: DCMTK is missing in /usr/bin: $1" >&2
  if [ "${ISTHMUS_REQUIRE_PEERS:-}" = 1 ]; then
    exit 1
  fi
  echo 'peers: tests that need it will be skipped' >&2
  exit 0
}

[ -x /usr/bin/findscu ] && [ -x /usr/bin/storescu ] && [ -x /usr/bin/echoscu ] && exit 0

command -v apt-get >/dev/null || missing 'no apt-get here; install dcmtk with your own package manager'
if [ "$(id -u)" = 0 ]; then
  as_root=()
elif sudo -n true 2>/dev/null; then
  as_root=(sudo -n)
else
  missing 'neither root nor password-less sudo; run: sudo apt-get install dcmtk'
fi

echo 'peers: installing DCMTK'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends dcmtk; } >"$log" 2>&1; then
  tail -n 5 "$log" >&2
  missing 'apt-get could not install it'
fi
[ -x /usr/bin/findscu ] || missing 'installed, but /usr/bin/findscu is not there'
