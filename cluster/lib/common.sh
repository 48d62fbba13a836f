# What the scripts of this folder share. Source it; it needs nothing set.
# shellcheck shell=bash

# A failure inside $(…) ends the script too (bash 4.4 and newer).
shopt -s inherit_errexit 2>/dev/null || true

CLUSTER_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=../versions.env
. "$CLUSTER_DIR/versions.env"
CACHE=${MODELSERVICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/modelservice}
CLUSTER=${CLUSTER:-$CLUSTER_NAME}

log() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { log "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# usage: prints the header comment of the calling script and fails.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }

# version_at_least HAVE WANT: both like v1.34.4.
version_at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

# wait_for SECONDS COMMAND…: repeats the command quietly until it succeeds; fails after that time.
wait_for() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}

# program_of PID: the name under which a process was started; nothing if it has ended, even where nobody has waited for it.
program_of() {
  local program=
  [ -r "/proc/${1:-none}/cmdline" ] || return 0
  IFS= read -r -d '' program <"/proc/${1:-none}/cmdline" || true
  printf '%s' "${program##*/}"
}

is_debian_root() { [ "$(id -u)" = 0 ] && have apt-get; }

# need_packages PACKAGE…: installs those Debian packages that are missing.
need_packages() {
  local missing=() package
  for package in "$@"; do
    # shellcheck disable=SC2016 # dpkg-query's own placeholder
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  is_debian_root || die "please install ${missing[*]}: that can be done here only as root on Debian or Ubuntu"
  log "installing ${missing[*]}"
  # The list of packages may be missing or old; that shows only when an install fails.
  apt_install "${missing[@]}" 2>/dev/null || { apt_get update && apt_install "${missing[@]}"; } ||
    die "could not install ${missing[*]} (see above)"
}
apt_install() { apt_get install --yes --no-install-recommends "$@"; }

# apt_get ARGUMENT…: says something only when it fails.
apt_get() {
  local output
  output=$(DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" 2>&1 </dev/null) && return
  printf '%s\n' "$output" >&2
  return 1
}

# cached DIRECTORY COMMAND…: makes $CACHE/DIRECTORY by running COMMAND with an empty folder as last argument.
# Whole or not at all, and once only, however many ask at the same time.
cached() {
  local target=$CACHE/$1; shift
  [ ! -d "$target" ] || return 0
  have flock || die "flock is missing (package util-linux)"
  mkdir -p "$CACHE"
  (
    flock 9
    [ ! -d "$target" ] || exit 0
    new=$(mktemp -d "$CACHE/.new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    "$@" "$new" 9>&-
    chmod 755 "$new"
    mv "$new" "$target"
  ) 9>"$target.lock"
}
