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

test-simulation: ## the operator in virtual time against 1,000 seeds of everything that can go wrong
	SIMULATION_SEEDS=1000 cargo test --profile small --locked -p operator --test simulation -- --nocapture

test-clients: ## the server against the clients of KServe, Triton, MLServer, MLflow and of the protocol itself
	inference/tests/clients/run

test-page: ## the live page in Chromium, against the metrics that it shows
	inference/tests/page/run

test-control-plane: ## the operator against etcd, kube-apiserver and kube-controller-manager
	cluster/with-control-plane cargo test --workspace --locked --test control_plane -- --ignored --test-threads 6

test-faults: ## the operator against the same, while everything between them goes wrong
	cargo test --workspace --locked --test faults --no-run
	$(MAKE) --no-print-directory --jobs 3 --keep-going --output-sync faults-elections_of faults-elections_for faults-crashes faults-hidden faults-weather faults-transitions

faults-%:
	cluster/with-control-plane cargo test --workspace --locked --test faults $* -- --ignored --nocapture --test-threads 1

test-end-to-end: ## everything on a kind cluster, but for the alerts that take long to fire: see alerts
	cluster/end-to-end --skip slowly

alerts: ## every alert made to fire and to resolve on a kind cluster; prints a table
	@cluster/alerts

bench: ## speed, memory and start beside bare axum, FastAPI, MLServer, KServe, …; ONLY="us axum" measures a part
	inference/benches/peers/run

dashboards: ## pictures of the dashboards with live data, drawn by Grafana's own components; fails if a panel is empty
	dashboards/render/run

scale: ## the operator at 1,000 and 5,000 ModelServices; SIZES=1000 IDLE_SECONDS=60 measures a part
	cluster/scale

upgrade: ## this version of the operator and that of FROM=COMMIT take over from each other at 1,000 ModelServices
	cluster/upgrade $(FROM)

fuzz: ## each fuzz target for FUZZ_SECONDS (60), from its corpus on; takes nightly Rust
	inference/fuzz/run

torture: ## all faults at full size and 100,000 seeds, which takes hours; prints a table
	.ci/torture

down: ## delete the demo's cluster
	cluster/kind down

.PHONY: help demo images gen lint test test-fast test-simulation test-clients test-page test-control-plane test-faults test-end-to-end alerts bench dashboards scale upgrade fuzz torture down
