# Sourced by every script here: where things are, and how servers are started, awaited and ended.
#
#   STACK_RUN           pids, logs and data                        (run/ at the root of the repository)
#   SLUICE_STACK_CACHE  what was downloaded, shared by all runs    (infra/stack/.cache)
#   STACK_PORT          first port of this stack's block of 1,000  (29000); all on 127.0.0.1
#
# Two stacks run at once when they differ in STACK_RUN and STACK_PORT.
STACK=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RUN=${STACK_RUN:-$(cd "$STACK/../.." && pwd)/run}
CACHE=${SLUICE_STACK_CACHE:-$STACK/.cache}
PORT=${STACK_PORT:-29000}
mkdir -p "$RUN" "$CACHE"
RUN=$(cd "$RUN" && pwd)
CACHE=$(cd "$CACHE" && pwd)

fail() { echo "$*" >&2; exit 1; }

# need COMMAND PACKAGE: ends with the command that installs what is missing
need() {
  command -v "$1" >/dev/null || fail "$1 is missing; install it with: apt-get install -y $2"
}

need_java() { need java openjdk-17-jre-headless; }

# born PID: when the process started, in clock ticks since boot; nothing when there is none or it is
# dead and only not yet reaped. The name in /proc/PID/stat may hold spaces: what counts begins after
# its closing bracket with the state.
born() {
  [ -r "/proc/$1/stat" ] && sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null |
    awk '$1 != "Z" && $1 != "X" { print $20 }'
}

# ours NAME: the pid of the server we started under that name, if that very process still runs:
# a pid alone may since have been given to somebody else's process.
ours() {
  local pid started
  read -r pid started 2>/dev/null <"$RUN/$1.pid" || return 1
  [ -n "$started" ] && [ "$(born "$pid")" = "$started" ] && echo "$pid"
}

# start NAME COMMAND...: in the background, detached from the terminal
start() {
  local name=$1 pid
  shift
  : >"$RUN/$name.log" # before the fork: await_line must not see the lines of the last run
  setsid "$@" >>"$RUN/$name.log" 2>&1 </dev/null &
  pid=$!
  echo "$pid $(born "$pid")" >"$RUN/$name.pid"
}

# await_line NAME REGEX [SECONDS]: until the log has such a line; fails at once when the server dies
await_line() {
  local tries
  for ((tries = 0; tries < ${3:-90} * 20; tries++)); do
    grep -qE "$2" "$RUN/$1.log" && return 0
    ours "$1" >/dev/null || { tail -20 "$RUN/$1.log" >&2; fail "$1 died; its log: $RUN/$1.log"; }
    sleep 0.05
  done
  tail -20 "$RUN/$1.log" >&2
  fail "$1 is not ready after ${3:-90} s; its log: $RUN/$1.log"
}

# end NAME: asks the server to stop, insists after 15 s. A stopped (SIGSTOP) one is woken to hear it.
end() {
  local pid tries
  if pid=$(ours "$1"); then
    kill -TERM "$pid"
    kill -CONT "$pid"
    for ((tries = 0; tries < 300; tries++)); do
      ours "$1" >/dev/null || break
      sleep 0.05
    done
    ours "$1" >/dev/null && kill -KILL "$pid"
    echo "$1: stopped"
  fi
  rm -f "$RUN/$1.pid"
}

resident_mib() { awk '/^VmRSS/ { printf "%d", $2 / 1024 }' "/proc/$1/status"; }

# one_at_a_time FILE: the rest of the script runs while no other does with the same file. Servers
# must not inherit the lock: close it for them with 9>&-.
one_at_a_time() {
  need flock util-linux
  exec 9>"$1"
  flock 9
}

# The Kafka version is said once, in kafka/pom.xml.
KAFKA_VERSION=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$STACK/kafka/pom.xml")
KAFKA=$CACHE/kafka-$KAFKA_VERSION
# An archive of loaded classes halves the CPU that a start costs. It fits one Java only.
java_id() { stat -Lc '%n %Y' "$(readlink -f "$(command -v java)")" | cksum | cut -d' ' -f1; }
