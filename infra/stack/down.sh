#!/bin/bash
# down.sh [--wipe] [NAME...]: ends the servers that the *-up.sh scripts of this STACK_RUN started, all
# when no name is given; --wipe drops their data and logs as well. Ends nothing else.
set -euo pipefail
. "$(dirname "$0")/env.sh"
wipe=
if [ "${1-}" = --wipe ]; then
  wipe=1
  shift
fi
names=("$@")
if [ $# -eq 0 ]; then
  for file in "$RUN"/*.pid; do
    [ -e "$file" ] || continue
    name=${file##*/}
    names+=("${name%.pid}")
  done
fi
for name in ${names[@]+"${names[@]}"}; do
  [[ $name =~ ^[a-z0-9-]+$ ]] || fail "no server is called '$name'"
  end "$name" &
done
wait
if [ -n "$wipe" ]; then
  for name in ${names[@]+"${names[@]}"}; do rm -rf "${RUN:?}/$name" "$RUN/$name.log"; done
fi
