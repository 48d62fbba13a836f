# Everything that people and CI do here. `make` prints the targets.
SHELL := bash -euo pipefail
.DEFAULT_GOAL := help

help: ## print this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 28

demo: ## a kind cluster with monitoring, the operator and a served model; prints what to try
	@cluster/demo

images: ## both container images, from static binaries
	@cluster/images

gen: ## rewrite generated files: definition, metrics page, goldens, built-in model
	UPDATE_GOLDEN=1 cargo test --workspace --lib --test invariants --test golden --test artifacts --test builtin

lint: ## format, clippy, shellcheck, helm lint, licences and sources of dependencies
	.ci/lint

test: ## every test there is; installs what it needs
	.ci/test

test-fast: ## tests that need neither a cluster nor tools
	.ci/test fast

test-clients: ## the server against the clients of KServe, Triton, MLServer, MLflow and of the protocol itself
	inference/tests/clients/run

test-control-plane: ## the operator against etcd, kube-apiserver and kube-controller-manager
	cluster/with-control-plane cargo test -p operator --locked --test control_plane -- --ignored --test-threads 6

test-end-to-end: ## everything on a kind cluster
	cluster/end-to-end

bench: ## speed, memory and start beside bare axum, FastAPI, MLServer, KServe, …; ONLY="us axum" measures a part
	inference/benches/peers/run

fuzz: ## each fuzz target for FUZZ_SECONDS (60), from its corpus on; takes nightly Rust
	inference/fuzz/run

down: ## delete the demo's cluster
	cluster/kind down

.PHONY: help demo images gen lint test test-fast test-clients test-control-plane test-end-to-end bench fuzz down
