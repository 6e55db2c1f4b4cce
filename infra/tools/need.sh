#!/usr/bin/env bash
# need.sh COMMAND...: sees to it that these commands are there. What Debian has is installed when that
# is allowed; otherwise the command that installs it is named.
set -euo pipefail

package_of() {
  case $1 in
    cc) echo gcc ;;
    java) echo openjdk-17-jre-headless ;;
    mvn) echo maven ;;
    cargo) ;;
    *) echo "$1" ;;
  esac
}

missing=()
for command in "$@"; do
  command -v "$command" >/dev/null && continue
  if [ "$command" = cargo ]; then
    echo "cargo is missing: install Rust 1.95 or later by rustup (rustup.rs)" >&2
    exit 1
  fi
  missing+=("$(package_of "$command")")
done
[ ${#missing[@]} -eq 0 ] && exit 0

install="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing: ${missing[*]}" >&2
  apt-get update -qq && $install -qq >/dev/null && exit 0
fi
echo "missing: ${missing[*]}; install with: sudo $install" >&2
exit 1
