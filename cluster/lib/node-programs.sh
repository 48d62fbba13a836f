# The images that a node must hold before there is a cluster, under the names that kubeadm and kind ask for.
# Sourced by node-image.
# shellcheck shell=bash

# shellcheck disable=SC2034 # used by node-image
NODE_TOOLS=(kubelet kubeadm kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy etcd coredns
  containerd containerd-shim-runc-v2 ctr local-path-provisioner)
STORAGE_IMAGE=local/local-path-provisioner:$LOCAL_PATH_PROVISIONER_VERSION
STORAGE_HELPER_IMAGE=local/local-path-helper:$LOCAL_PATH_PROVISIONER_VERSION

# make_images ROOT FOLDER: one archive in FOLDER with all of them.
make_images() {
  local image images=("$STORAGE_IMAGE" "$STORAGE_HELPER_IMAGE")
  mkdir -p "$2"
  image_of "$STORAGE_IMAGE" "$(command -v local-path-provisioner)"
  helper_image "$1" "$STORAGE_HELPER_IMAGE"
  while read -r image; do
    case $image in
      */pause:*) pause_image "$image" ;;
      */kube-proxy:*) kube_proxy_image "$1" "$image" ;;
      */coredns:*) image_of "$image" "$(command -v coredns)" 'ENTRYPOINT ["/bin/coredns"]' ;;
      */etcd:* | */kube-*:*) image_of "$image" "$(command -v "$(basename "${image%:*}")")" ;;
      *) die "kubeadm asks for an image that is not made here: $image" ;;
    esac
    images+=("$image")
  done < <(kubeadm_images)
  docker save "${images[@]}" >"$2/images.tar"
  docker image rm "${images[@]}" >/dev/null
}

kubeadm_images() { kubeadm config images list --kubernetes-version "$KUBERNETES_VERSION"; }

pause_image() {
  local folder
  folder=$(mktemp -d)
  gcc -static -O2 -o "$folder/pause" "$CLUSTER_DIR/lib/pause.c"
  chmod 755 "$folder"
  image_from "$1" "$folder" 'ENTRYPOINT ["/pause"]'
  rm -rf "$folder"
}

# helper_image ROOT NAME: a shell with mkdir and rm, which is what the storage provisioner runs on the node.
helper_image() {
  local folder name
  folder=$(mktemp -d)
  empty_root "$folder"
  mkdir "$folder/bin"
  cp "$1/bin/busybox" "$folder/bin/"
  for name in sh mkdir rm; do ln -s busybox "$folder/bin/$name"; done
  image_from "$2" "$folder" 'ENV PATH=/bin'
  rm -rf "$folder"
}

# kube_proxy_image ROOT NAME: kube-proxy, and the packages whose programs it runs. The libraries of iptables' extensions
# (libm for one) are needed too: without them the rules of Services never load, and nothing says so but the log.
kube_proxy_image() {
  local root=$1 folder packages library
  packages='iptables conntrack ipset nftables kmod libc6 libxtables12 libip4tc2 libip6tc2 libnftnl11 libmnl0 libnftables1
    libnfnetlink0 libnetfilter-conntrack3 libipset13 libgmp10 libjansson4 libedit2 libbsd0 libmd0 libtinfo6 libkmod2
    liblzma5 libzstd1 libssl3'
  folder=$(mktemp -d)
  empty_root "$folder"
  mkdir -p "$folder"/{run,var,usr/local/bin,usr/bin,usr/sbin,usr/lib,usr/lib64}
  for library in bin sbin lib lib64; do ln -s "usr/$library" "$folder/$library"; done
  ln -s /run "$folder/var/run"
  # shellcheck disable=SC2086 # a list
  chroot "$root" dpkg-query -L $packages | grep -E '^/(usr/)?(s?bin|lib|lib64)/' | grep -v '/gconv/' | sort -u |
    while read -r library; do [ -d "$root$library" ] || echo ".$library"; done |
    tar -C "$root" --no-recursion -T - -c | tar -C "$folder" --keep-directory-symlink -x
  cp -a "$root"/usr/sbin/{iptables,ip6tables}{,-save,-restore} "$folder/usr/sbin/"
  mkdir -p "$folder/etc/alternatives"
  cp -a "$root"/etc/alternatives/ip{,6}tables* "$folder/etc/alternatives/"
  cp "$(command -v kube-proxy)" "$folder/usr/local/bin/"
  chroot "$folder" /usr/sbin/iptables --version >/dev/null || die "the kube-proxy image lacks a library of iptables"
  image_from "$2" "$folder" 'ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  rm -rf "$folder"
}

# preload_images ROOT FOLDER: puts FOLDER/images.tar where the node's containerd finds its images.
preload_images() {
  local socket=$2/containerd.sock pid
  # What serves the kubelet is for the node.
  printf 'version = 3\ndisabled_plugins = [%s]\n' \
    '"io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images", "io.containerd.nri.v1.nri"' \
    >"$2/config.toml"
  mkdir -p "$1/var/lib/containerd"
  containerd --config "$2/config.toml" --address "$socket" --root "$1/var/lib/containerd" --state "$2/state" \
    --log-level error >&2 &
  pid=$!
  wait_for 30 ctr --address "$socket" version || { kill "$pid"; die "containerd did not start"; }
  ctr --address "$socket" --namespace k8s.io images import "$2/images.tar" >&2 || { kill "$pid"; die "import failed"; }
  kill "$pid"
  wait "$pid" || true
}
