# The verbs. Logic lives in code: a recipe is one or two lines.
.PHONY: help run test check lint fmt golden dist chaos bench stack-up stack-down clean
SLUICE = target/release/sluice

help: ## this list
	@grep -hE '^[a-z-]+:.* ## ' $(MAKEFILE_LIST) | sed -E 's/:.* ## /\t/' | expand -t 14

run: ## build, start everything in one process, play a demo pool, keep serving
	@infra/tools/need.sh cargo cc c++ make
	@cargo build --release --locked && exec $(SLUICE) demo

test: ## everything, real servers too (SKIP_REAL=1 leaves those out and says so)
	@infra/tools/need.sh cargo cc c++ make git
	@infra/tools/test.sh

check: lint ## formatting, lints, docs and licences, as a reviewer would
	cargo doc --no-deps --workspace --quiet
	@infra/tools/deny.sh

lint: ## formatting and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features faults --quiet -- -D warnings

fmt: ## format
	cargo fmt --all

golden: ## write what is generated from the code
	cargo run --quiet -- golden

dist: ## one archive of program, completions, man pages, documents and licences; tried once
	infra/tools/dist.sh

chaos: ## kill the server 300 times under load (SLUICE_SEED=n repeats a run)
	SLUICE_KILLS=300 cargo test --features faults --test it chaos::kills -- --nocapture

bench: ## measure each bar beside its floor (BAR="fold append" for some, QUICK=1 shows that they run)
	@cargo build --release --locked -p sluice -p bench
	target/release/bench $(if $(QUICK),--quick) $(BAR)

stack-up: ## start a real Kafka on loopback for development
	infra/stack/kafka-up.sh single

stack-down: ## stop it
	infra/stack/down.sh

clean: ## remove what was built and what was served
	cargo clean
	rm -rf data run
