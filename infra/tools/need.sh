#!/usr/bin/env bash
# need.sh COMMAND...: sees to it that these commands are there and work. What Debian has is installed
# when that is allowed; otherwise the command that installs it is named.
set -euo pipefail
cd "$(dirname "$0")/../.."

package_of() {
  case $1 in
    cc) echo gcc libc6-dev ;;
    c++) echo g++ ;;
    java) echo openjdk-17-jre-headless ;;
    mvn) echo maven ;;
    *) echo "$1" ;;
  esac
}

# A compiler without the headers of the C library is none.
compiles() {
  printf '#include <stdio.h>\nint main(void) { return 0; }\n' | "$1" -x "$2" -fsyntax-only - 2>/dev/null
}

works() {
  case $1 in
    cc) compiles cc c ;;
    c++) compiles c++ c++ ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

# As old as Cargo.toml allows, or newer.
rust_is_new_enough() {
  local least has
  least=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  has=$(cargo --version 2>/dev/null | cut -d' ' -f2)
  [ "$(printf '%s\n%s\n' "$least" "$has" | sort -V | head -n1)" = "$least" ] && return
  echo "Rust $least or later is needed, and ${has:-none} is here. Install it with:" >&2
  if command -v rustup >/dev/null; then
    echo "  rustup update stable && rustup default stable" >&2
  else
    echo "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . ~/.cargo/env" >&2
  fi
  return 1
}

missing=()
for command in "$@"; do
  if [ "$command" = cargo ]; then
    rust_is_new_enough || exit 1
  elif ! works "$command"; then
    # shellcheck disable=SC2207  # package names, split on purpose
    missing+=($(package_of "$command"))
  fi
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "missing: $*; install what Debian calls: ${missing[*]}" >&2
  [ "$(uname)" != Darwin ] || echo "  xcode-select --install has the compilers" >&2
  exit 1
fi
install="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" = 0 ]; then
  echo "installing: ${missing[*]}" >&2
  apt-get update -qq && $install -qq >/dev/null && exit 0
  echo "that failed" >&2
fi
echo "missing: ${missing[*]}; install with: sudo $install" >&2
exit 1
