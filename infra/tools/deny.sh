#!/usr/bin/env bash
# deny.sh: licences, sources and bans of all dependencies, by cargo-deny; installed when it is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v cargo-deny >/dev/null || cargo install --locked cargo-deny --version 0.20.2
cargo deny --log-level error check bans licenses sources
