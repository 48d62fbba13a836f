# The certificates and kubeconfig files of a control plane. Sourced by control-plane.
# shellcheck shell=bash

# certificates FOLDER: once; a control plane that is started again keeps them.
certificates() {
  [ ! -e "$1/done" ] || return 0
  mkdir -p "$1"
  chmod 700 "$1"
  openssl_quiet req -x509 "${NEW_KEY[@]}" -keyout "$1/ca.key" -out "$1/ca.crt" -days 3650 -subj /CN=kubernetes-ca \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
  certificate "$1" kube-apiserver /CN=kube-apiserver serverAuth
  certificate "$1" admin /O=system:masters/CN=admin clientAuth
  certificate "$1" kube-controller-manager /CN=system:kube-controller-manager clientAuth
  openssl_quiet genrsa -out "$1/service-account.key" 2048
  touch "$1/done"
}

NEW_KEY=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)

# openssl says something only when it fails.
openssl_quiet() {
  local output
  output=$(openssl "$@" 2>&1) || { printf '%s\n' "$output" >&2; die "openssl $1 failed"; }
}

# certificate FOLDER NAME SUBJECT USE
certificate() {
  local names=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.96.0.1
  openssl_quiet req -x509 "${NEW_KEY[@]}" -keyout "$1/$2.key" -out "$1/$2.crt" -days 3650 -subj "$3" \
    -CA "$1/ca.crt" -CAkey "$1/ca.key" -addext basicConstraints=CA:FALSE -addext "extendedKeyUsage=$4" \
    -addext "subjectAltName=$names"
}

# kubeconfig FOLDER NAME SERVER: prints a kubeconfig of the client NAME, with everything in it.
kubeconfig() {
  cat <<YAML
apiVersion: v1
kind: Config
clusters:
  - {name: local, cluster: {server: "$3", certificate-authority-data: $(base64 -w 0 "$1/ca.crt")}}
users:
  - name: $2
    user: {client-certificate-data: $(base64 -w 0 "$1/$2.crt"), client-key-data: $(base64 -w 0 "$1/$2.key")}
contexts:
  - {name: local, context: {cluster: local, user: $2}}
current-context: local
YAML
}
