#!/usr/bin/env bash
# The crate with the oldest Rocket that it allows, and with Rocket's features: compiles the library, and runs one file of
# tests with the oldest. Works on a copy, so that Cargo.lock stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

oldest=$(sed -n 's/^rocket = { version = "\([0-9.]*\)".*/\1/p' Cargo.toml)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files --cached --others --exclude-standard -z | tar --null --files-from=- --create | tar --extract --directory="$copy"
cd "$copy"

step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

# A feature of Rocket that an application switches on is on for this crate too.
step "Rocket's features: http2, tls, secrets, json, uuid"
cp Cargo.toml Cargo.toml.kept
sed -i 's/^\(rocket = { version = "[0-9.]*", default-features = false\)/\1, features = ["http2", "tls", "secrets", "json", "uuid"]/' Cargo.toml
cargo check --lib --all-features
mv Cargo.toml.kept Cargo.toml

step "Rocket $oldest"
# Its parts too: `rocket` asks for this version of them or a later one, and does not compile with a later one.
for part in rocket rocket_codegen rocket_http; do
  cargo update --quiet --package "$part" --precise "$oldest"
done
cargo tree --depth 1 --edges normal | grep -F "rocket v$oldest"
cargo test --test first_light
