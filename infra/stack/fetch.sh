#!/bin/bash
# fetch.sh: downloads what the servers are made of, once, into the cache; does nothing when it is there.
set -euo pipefail
. "$(dirname "$0")/env.sh"
need_java
one_at_a_time "$CACHE/lock"

if [ ! -d "$KAFKA/libs" ]; then
  need mvn maven
  echo "fetching Kafka $KAFKA_VERSION and its libraries with mvn"
  rm -rf "$KAFKA/libs.part"
  mvn -q -B -ntp -f "$STACK/kafka/pom.xml" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$KAFKA/libs.part" 9>&- >"$CACHE/mvn.log" 2>&1 ||
    { tail -20 "$CACHE/mvn.log" >&2; fail "mvn could not fetch Kafka $KAFKA_VERSION; its output: $CACHE/mvn.log"; }
  mv "$KAFKA/libs.part" "$KAFKA/libs" # whole or not at all
fi

archive=$KAFKA/classes-$(java_id).jsa
if [ ! -f "$archive" ]; then
  echo "archiving Kafka's classes for this Java"
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  # A broker of its own, started and stopped cleanly, writes the archive as it ends. Without one
  # Kafka starts as well, only slower.
  (
    exec 9>&-
    export STACK_RUN=$scratch STACK_PORT=$((PORT + 500))
    KAFKA_JAVA_OPTS="-XX:ArchiveClassesAtExit=$scratch/classes.jsa" "$STACK/kafka-up.sh" single
    "$STACK/down.sh"
  ) >"$CACHE/archive.log" 2>&1 && mv "$scratch/classes.jsa" "$archive" ||
    echo "no archive: see $CACHE/archive.log" >&2
fi
du -sh "$KAFKA" | sed 's/^/cache: /'
