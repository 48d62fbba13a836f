# Builds programs from published Go modules, without git.
# shellcheck shell=bash

# go_build MODULE VERSION PACKAGE OUTPUT [FLAG…]: builds MODULE@VERSION's PACKAGE (relative, like ./cmd/x).
go_build() {
  local source
  source=$(go_source "$1" "$2")
  shift 2
  go_build_in "$source" "$@"
}

# go_source MODULE VERSION: downloads a module, prints its folder.
go_source() {
  have go || die "Go (https://go.dev) is needed: this machine lacks a program that is published as source only"
  local answer
  answer=$(cd / && GOWORK=off GOFLAGS=-mod=mod go mod download -json "$1@$2") ||
    { printf '%s\n' "$answer" >&2; die "could not download the Go module $1@$2"; }
  sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"$answer"
}

# go_build_in SOURCE PACKAGE OUTPUT [FLAG…]
# SOURCE is the main module, so its own go.mod decides every dependency. Only the replacements that point into the
# module's repository are taken out of it (in a copy: SOURCE is not written to): what they point at is not part of the
# module, but is published as modules of their own.
go_build_in() {
  local source=$1 package=$2 output=$3 modfile; shift 3
  modfile=$(mktemp -d)
  cat "$source/go.mod" >"$modfile/go.mod"
  cat "$source/go.sum" >"$modfile/go.sum"
  drop_local_replacements "$modfile/go.mod"
  (
    cd "$source" || exit
    GOWORK=off GOFLAGS='' CGO_ENABLED=0 go build -modfile="$modfile/go.mod" -mod=mod -trimpath -buildvcs=false \
      -o "$output" "$@" "$package" >&2
  )
  rm -rf "$modfile"
}

drop_local_replacements() {
  local edits=(-toolchain=none) path
  while read -r path; do
    edits+=("-dropreplace=$path")
    case $path in
      k8s.io/*) edits+=("-require=$path@$KUBERNETES_STAGING_VERSION") ;;
    esac
  done < <(sed -n 's/^\(replace\)\{0,1\}[[:space:]]*\([^[:space:]]*\) => \.\.\{0,1\}\/.*/\2/p' "$1")
  go mod edit "${edits[@]}" "$1"
}
