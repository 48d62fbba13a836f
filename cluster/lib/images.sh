# Container images made without a registry, out of folders and static programs.
# shellcheck shell=bash

# image_from NAME FOLDER [CHANGE…]: an image with just that folder in it; CHANGE is a Dockerfile instruction.
image_from() {
  local name=$1 folder=$2 changes=() change; shift 2
  for change in "$@"; do changes+=(--change "$change"); done
  tar -C "$folder" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -c . |
    docker import "${changes[@]}" - "$name" >/dev/null
}

# image_of NAME PROGRAM [CHANGE…]: an image with one static program, in /bin, where the Prometheus operator looks for it.
image_of() {
  local name=$1 program=$2 folder; shift 2
  folder=$(mktemp -d)
  empty_root "$folder"
  mkdir "$folder/bin"
  cp "$program" "$folder/bin/"
  image_from "$name" "$folder" "$@"
  rm -rf "$folder"
}

# empty_root FOLDER: what programs expect to find in any root.
empty_root() {
  mkdir -p "$1"/{etc,tmp}
  chmod 755 "$1"
  chmod 1777 "$1/tmp"
  printf 'root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n' >"$1/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
}
