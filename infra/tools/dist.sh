#!/bin/sh
# One archive of what a machine needs: the program, completions, man pages, documents, licences and
# the digest of each file. The same commit and compiler give the same archive: files are in order,
# of one owner, and dated as the commit. Then it is unpacked in a clean folder and tried.
set -eu
cd "$(dirname "$0")/../.."
cargo build --release --locked --bin sluice
sluice=target/release/sluice
version=$($sluice --version | cut -d ' ' -f 2)
name=sluice-$version-$(rustc -vV | sed -n 's/^host: //p')
out=target/dist
date=$(git log -1 --format=%ct)
rm -rf "$out"
mkdir -p "$out/$name/bin" "$out/$name/completions" "$out/$name/licences"
cp "$sluice" "$out/$name/bin/"
$sluice completions bash > "$out/$name/completions/sluice.bash"
$sluice completions zsh > "$out/$name/completions/_sluice"
$sluice completions fish > "$out/$name/completions/sluice.fish"
$sluice man "$out/$name/man/man1"
cp -r docs README.md CHANGELOG.md LICENSE "$out/$name/"
cp infra/src/http/swagger/LICENSE "$out/$name/licences/swagger-ui"
# What is linked in, each crate with its licence and the texts it came with.
crates="cargo tree --locked --package sluice --edges normal --prefix none --no-dedupe"
$crates --format '{p} {l}' | grep -v " (/" | LC_ALL=C sort -u > "$out/$name/licences/CRATES"
sources=${CARGO_HOME:-$HOME/.cargo}/registry/src
$crates --format '{p}' | grep -v " (/" | LC_ALL=C sort -u | while read -r crate number _; do
    for text in "$sources"/*/"$crate-${number#v}"/LICEN[CS]E*; do
        if [ -f "$text" ]; then
            cp "$text" "$out/$name/licences/$crate-${number#v}-$(basename "$text")"
        fi
    done
done
chmod -R u=rwX,go=rX "$out/$name"
(cd "$out/$name" && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum > SHA256SUMS)
pack() {
    tar --sort=name --mtime="@$date" --owner=0 --group=0 --numeric-owner --format=gnu \
        -C "$out" -c "$name" | gzip -n -9
}
pack > "$out/$name.tar.gz"
pack | cmp - "$out/$name.tar.gz"
clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT
tar -C "$clean" -xzf "$out/$name.tar.gz"
(cd "$clean/$name" && sha256sum --quiet --check SHA256SUMS)
[ "$("$clean/$name/bin/sluice" --version)" = "sluice $version" ]
rm -rf "${out:?}/$name"
(cd "$out" && sha256sum "$name.tar.gz" > SHA256SUMS && cat SHA256SUMS)
