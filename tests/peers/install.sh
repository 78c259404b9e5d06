#!/usr/bin/env bash
# Installs the independent programs that integration tests talk to: DCMTK (findscu, storescu, echoscu, …), and two HL7
# packages of npm where Node.js is installed.
# Without them those tests skip and say why; with ISTHMUS_REQUIRE_PEERS=1 a missing peer is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."

missing() {
  echo "peers: $1" >&2
  if [ "${ISTHMUS_REQUIRE_PEERS:-}" = 1 ]; then
    exit 1
  fi
  echo 'peers: tests that need it will be skipped' >&2
}

has_dcmtk() {
  [ -x /usr/bin/findscu ] && [ -x /usr/bin/storescu ] && [ -x /usr/bin/echoscu ]
}

install_dcmtk() {
  if ! command -v apt-get >/dev/null; then
    missing 'DCMTK is missing in /usr/bin: no apt-get here; install dcmtk with your own package manager'
    return
  fi
  if [ "$(id -u)" = 0 ]; then
    as_root=()
  elif sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
  else
    missing 'DCMTK is missing in /usr/bin: neither root nor password-less sudo; run: sudo apt-get install dcmtk'
    return
  fi
  echo 'peers: installing DCMTK'
  apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
  if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends dcmtk; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    missing 'DCMTK is missing in /usr/bin: apt-get could not install it'
  elif ! has_dcmtk; then
    missing 'DCMTK is missing in /usr/bin although it is installed'
  fi
}

# Pinned: the last ones that run on Node.js 20.
node_packages=(node-hl7-client@2.3.1 node-hl7-server@2.5.0)
node_folder=build/peers/node

install_node_packages() {
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    missing 'Node.js with npm is missing, the HL7 packages of npm cannot be installed'
    return
  fi
  echo "peers: installing ${node_packages[*]}"
  mkdir -p "$node_folder"
  if ! npm install --prefix "$node_folder" --no-package-lock --no-audit --no-fund --ignore-scripts --save-exact \
    --loglevel=error "${node_packages[@]}" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    missing 'npm could not install its HL7 packages'
    return
  fi
  printf '%s\n' "${node_packages[@]}" >"$node_folder/installed"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
has_dcmtk || install_dcmtk
[ "$(cat "$node_folder/installed" 2>/dev/null)" = "$(printf '%s\n' "${node_packages[@]}")" ] || install_node_packages
