#!/usr/bin/env bash
# test.sh: every test there is. A real Kafka is started for those that need one; SKIP_REAL=1 leaves
# them out and says what was not proved.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "${SKIP_REAL:-}" = 1 ]; then
  echo "SKIP_REAL=1: nothing is proved on a real Kafka"
else
  infra/tools/need.sh java mvn
  export STACK_RUN=${STACK_RUN:-$PWD/target/stack}
  export STACK_PORT=${STACK_PORT:-33000}
  export SLUICE_STACK_CACHE=${SLUICE_STACK_CACHE:-$PWD/target/stack-cache}
  trap 'infra/stack/down.sh --wipe >/dev/null' EXIT
  infra/stack/fetch.sh
  infra/stack/kafka-up.sh single
  export SLUICE_TEST_KAFKA=127.0.0.1:$((STACK_PORT + 92))
fi

cargo fmt --all --check
# One build of everything with the faults in it; the binary's own tests last, so that what ends the
# output is what the stories and the chaos say.
cargo test --workspace --exclude sluice --features infra/suites,ingest/faults --no-fail-fast
cargo test -p sluice --features faults --no-fail-fast
