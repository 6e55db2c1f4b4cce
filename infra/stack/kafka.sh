#!/bin/bash
# kafka.sh TOOL ARGUMENTS...: Kafka's own command line tools, for example
#   kafka.sh topics --bootstrap-server 127.0.0.1:29092 --list
# TOOL: topics configs acls groups producer consumer producer-perf consumer-perf transactions quorum
#       storage delete-records, or the name of a Java class
set -euo pipefail
. "$(dirname "$0")/env.sh"
[ $# -gt 0 ] || fail "$(sed -n '2,5s/^# //p' "$0")"
need_java
[ -d "$KAFKA/libs" ] || "$STACK/fetch.sh"
tool=$1
shift
case $tool in
topics) class=org.apache.kafka.tools.TopicCommand ;;
configs) class=kafka.admin.ConfigCommand ;;
acls) class=org.apache.kafka.tools.AclCommand ;;
groups) class=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand ;;
producer) class=org.apache.kafka.tools.ConsoleProducer ;;
consumer) class=org.apache.kafka.tools.consumer.ConsoleConsumer ;;
producer-perf) class=org.apache.kafka.tools.ProducerPerformance ;;
consumer-perf) class=org.apache.kafka.tools.ConsumerPerformance ;;
transactions) class=org.apache.kafka.tools.TransactionsCommand ;;
quorum) class=org.apache.kafka.tools.MetadataQuorumCommand ;;
delete-records) class=org.apache.kafka.tools.DeleteRecordsCommand ;;
storage) class=kafka.tools.StorageTool ;;
*) class=$tool ;;
esac
exec java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dstack.level=WARN -Dstack.target=SYSTEM_ERR \
  "-Dlog4j2.configurationFile=$STACK/kafka/log4j2.properties" -cp "$KAFKA/libs/*" "$class" "$@"
