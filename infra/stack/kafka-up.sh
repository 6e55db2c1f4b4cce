#!/bin/bash
# kafka-up.sh single|cluster|secure: Apache Kafka in KRaft mode on 127.0.0.1; does nothing when it runs.
#
#   single   one broker at STACK_PORT+92
#   cluster  three at STACK_PORT+192, +292, +392: replication 3, min.insync.replicas 2
#   secure   one at STACK_PORT+492 with SASL (PLAIN, SCRAM-SHA-256) and ACLs; users admin, alice and
#            bob, each with the password NAME-secret; only admin may do anything before ACLs are set
#
# Port p of a broker is followed by its controller (p+1) and a second listener (p+2) that is
# advertised as p+3: put a fault-injecting proxy there.
#   KAFKA_HEAP       heap of each broker (512m)
#   KAFKA_JAVA_OPTS  for the JVM; default: quick to start. Empty for benchmarks.
set -euo pipefail
. "$(dirname "$0")/env.sh"
mode=${1:-single}
need_java
[ -d "$KAFKA/libs" ] || "$STACK/fetch.sh"

java_options=(-Djava.awt.headless=true "-Dlog4j2.configurationFile=$STACK/kafka/log4j2.properties")
archive=$KAFKA/classes-$(java_id).jsa
if [ -n "${KAFKA_JAVA_OPTS-x}" ] && [ -f "$archive" ]; then java_options+=("-XX:SharedArchiveFile=$archive"); fi
read -ra more <<<"${KAFKA_JAVA_OPTS--XX:TieredStopAtLevel=1}"
java_options+=(${more[@]+"${more[@]}"})

# settings NAME ID PORT VOTERS REPLICAS MIN_ISR PROTOCOL
settings() {
  cat <<SETTINGS
process.roles=broker,controller
node.id=$2
controller.quorum.voters=$4
listeners=CLIENT://127.0.0.1:$3,CONTROLLER://127.0.0.1:$(($3 + 1)),PROXIED://127.0.0.1:$(($3 + 2))
advertised.listeners=CLIENT://127.0.0.1:$3,PROXIED://127.0.0.1:$(($3 + 3))
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
listener.security.protocol.map=CLIENT:$7,PROXIED:$7,CONTROLLER:PLAINTEXT
log.dirs=$RUN/$1/data
auto.create.topics.enable=false
unclean.leader.election.enable=false
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=4
offsets.topic.replication.factor=$5
transaction.state.log.replication.factor=$5
transaction.state.log.min.isr=$6
share.coordinator.state.topic.replication.factor=$5
share.coordinator.state.topic.min.isr=$6
default.replication.factor=$5
min.insync.replicas=$6
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=16777216
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
SETTINGS
}

# The controller's listener is in the clear on loopback: its user is ANONYMOUS.
secure_settings() {
  local login=required\ username=\"admin\"\ password=\"admin-secret\" listener
  cat <<SETTINGS
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
sasl.mechanism.inter.broker.protocol=PLAIN
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:ANONYMOUS
allow.everyone.if.no.acl.found=false
SETTINGS
  for listener in client proxied; do
    echo "listener.name.$listener.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule $login" \
      'user_admin="admin-secret" user_alice="alice-secret" user_bob="bob-secret";'
    echo "listener.name.$listener.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule $login;"
  done
}

# broker NAME: formats its data folder the first time, then starts it
broker() {
  local name=$1 home=$RUN/$1 user scram=()
  if [ ! -f "$home/data/meta.properties" ]; then
    if [ "$mode" = secure ]; then
      for user in admin alice bob; do scram+=(--add-scram "SCRAM-SHA-256=[name=$user,password=$user-secret]"); done
    fi
    java -Xmx128m -XX:+UseSerialGC "${java_options[@]}" -cp "$KAFKA/libs/*" kafka.tools.StorageTool format \
      -t MkU3OEVBNTcwNTJENDM2Qk -c "$home/server.properties" ${scram[@]+"${scram[@]}"} \
      >"$home/format.log" 2>&1 || { cat "$home/format.log" >&2; fail "$name: could not format $home/data"; }
  fi
  start "$name" java -Xms128m "-Xmx${KAFKA_HEAP:-512m}" -XX:+UseG1GC -XX:+ExitOnOutOfMemoryError \
    "${java_options[@]}" -cp "$KAFKA/libs/*" kafka.Kafka "$home/server.properties"
}

case $mode in
single) names=(kafka) ports=($((PORT + 92))) replicas=1 min_isr=1 protocol=PLAINTEXT ;;
cluster) names=(kafka1 kafka2 kafka3) ports=($((PORT + 192)) $((PORT + 292)) $((PORT + 392))) replicas=3 min_isr=2 protocol=PLAINTEXT ;;
secure) names=(kafka-secure) ports=($((PORT + 492))) replicas=1 min_isr=1 protocol=SASL_PLAINTEXT ;;
*) fail "kafka-up.sh single|cluster|secure" ;;
esac

one_at_a_time "$RUN/kafka.lock"
voters=
for i in "${!names[@]}"; do voters+=,$((i + 1))@127.0.0.1:$((ports[i] + 1)); done
started=()
for i in "${!names[@]}"; do
  name=${names[i]}
  ours "$name" >/dev/null && continue
  mkdir -p "$RUN/$name"
  : >"$RUN/$name.log"
  settings "$name" $((i + 1)) "${ports[i]}" "${voters#,}" "$replicas" "$min_isr" "$protocol" >"$RUN/$name/server.properties"
  [ "$mode" != secure ] || secure_settings >>"$RUN/$name/server.properties"
  started+=("$name")
done
for name in ${started[@]+"${started[@]}"}; do broker "$name" 9>&- & done
wait
for i in "${!names[@]}"; do
  await_line "${names[i]}" 'Kafka Server started'
  pid=$(ours "${names[i]}")
  echo "${names[i]}: ready at 127.0.0.1:${ports[i]}, pid $pid, $(resident_mib "$pid") MiB"
done
