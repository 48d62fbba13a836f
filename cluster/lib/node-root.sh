# The file system of a kind node: Debian, what kind's own image adds to it, and Kubernetes. Sourced by node-image.
# shellcheck shell=bash

# debian_root FOLDER
debian_root() {
  local packages=systemd,systemd-sysv,dbus,conntrack,iptables,nftables,iproute2,ethtool,util-linux,mount,kmod
  packages+=,libseccomp2,pigz,bash,ca-certificates,curl,jq,procps,runc,containernetworking-plugins,socat
  packages+=,ipset,busybox-static
  local release mirror
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  # shellcheck disable=SC2016 # apt-get's own placeholders
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    awk -v release="$release" '$2 == release && !found {print $1; found = 1}')
  log "unpacking Debian $release"
  debootstrap --variant=minbase --include="$packages" "$release" "$1" ${mirror:+"$mirror"} >"$1.log" 2>&1 ||
    { tail -n 20 "$1.log" >&2; die "debootstrap failed"; }
  rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/* "$1"/usr/share/{doc,man,locale} "$1.log"
}

# kind_files FOLDER: what kind expects of a node image.
kind_files() {
  local root=$1 kind files
  kind=$(go_source sigs.k8s.io/kind "$KIND_VERSION")
  files=$kind/images/base/files
  mkdir -p "$root"/{kind/bin,kind/manifests,etc/containerd,etc/cni/net.d,etc/kubernetes/manifests,opt/cni,LICENSES}
  cp -r --no-preserve=mode "$files"/usr/local/bin/. "$root/usr/local/bin"
  cp -r --no-preserve=mode "$files"/kind/. "$root/kind"
  cp -r --no-preserve=mode "$files"/etc/. "$root/etc"
  chmod 755 "$root"/usr/local/bin/* "$root"/kind/bin/*
  ln -s /usr/lib/cni "$root/opt/cni/bin"
  local program
  # Debian's containerd is too old for volumes that are images.
  for program in containerd containerd-shim-runc-v2 ctr; do cp "$(command -v "$program")" "$root/usr/local/bin/$program"; done
  ln -s /usr/sbin/runc "$root/usr/local/sbin/runc"
  chroot "$root" ctr oci spec >"$root/etc/containerd/cri-base.json"
  # The first: without CAP_SYS_RESOURCE no process may lower its OOM score, and runc would fail to start a container.
  sed -i "s/restrict_oom_score_adj = false/restrict_oom_score_adj = true/
    s#sandbox_image = .*#sandbox_image = \"$(kubeadm_images | grep /pause:)\"#" "$root/etc/containerd/config.toml"
  pod_network "$root"
  service_network "$root"
  storage "$kind" >"$root/kind/manifests/default-storage.yaml"
  init_system "$root"
}

# pod_network FOLDER: one node needs no more than a bridge, so kind is given nothing to install.
pod_network() {
  cat >"$1/etc/cni/net.d/10-bridge.conflist" <<'JSON'
{"cniVersion": "0.4.0", "name": "bridge", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
  cat >"$1/kind/manifests/default-cni.yaml" <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: pod-network, namespace: kube-system}
data: {bridge: "The pods of this single node are on a bridge (/etc/cni/net.d)."}
YAML
}

# service_network FOLDER: a Service that kube-proxy does not know yet would be looked for outside of the machine, where
# anybody may answer in its name.
service_network() {
  cat >"$1/etc/systemd/system/refuse-unknown-services.service" <<'UNIT'
[Unit]
Description=Refuse connections to Services that kube-proxy does not know yet
Before=kubelet.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/iptables -A OUTPUT -o eth0 -d 10.96.0.0/16 -j REJECT
ExecStart=/usr/sbin/iptables -A FORWARD -o eth0 -d 10.96.0.0/16 -j REJECT

[Install]
WantedBy=multi-user.target
UNIT
}

# storage KIND-SOURCE: kind's own manifest of the local-path provisioner, with the images that are made here.
storage() {
  # shellcheck disable=SC2016 # backquotes of Go
  sed -n '/^const defaultStorageManifest = `/,/^`$/p' "$1/pkg/build/nodeimage/const_storage.go" | sed '1d;$d' |
    sed "s#\` + storageProvisionerImage + \`#$STORAGE_IMAGE#; s#\` + storageHelperImage + \`#$STORAGE_HELPER_IMAGE#"
}

# init_system FOLDER: as in kind's own image, systemd starts containerd and the kubelet and little else.
init_system() {
  chroot "$1" bash -euc '
    rm -f /lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service
    rm -f /lib/systemd/system/{multi-user,local-fs,basic}.target.wants/* /etc/systemd/system/*.wants/*
    rm -f /lib/systemd/system/sockets.target.wants/*{udev,initctl}*
    echo ReadKMsg=no >>/etc/systemd/journald.conf
    ln -sf /usr/lib/systemd/systemd /sbin/init
    systemctl enable kubelet.service containerd.service undo-mount-hacks.service refuse-unknown-services.service
    systemctl mask systemd-binfmt.service' >/dev/null 2>&1
}

# kubernetes_files FOLDER
kubernetes_files() {
  local program
  for program in kubelet kubeadm kubectl; do cp "$(command -v "$program")" "$1/usr/bin/$program"; done
  printf '%s' "$KUBERNETES_VERSION" >"$1/kind/version"
}
