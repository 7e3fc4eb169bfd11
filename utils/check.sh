#!/usr/bin/env bash
# Checks everything: the README's test command, formatting, lints, documentation, each feature alone, the instructions of
# the guard, and the tests over HTTP, against the engine's own server and against moto. What it starts it ends.
set -euo pipefail
cd "$(dirname "$0")/.."

# The environment of whoever runs this must not reach the tests.
unset ROCKET_PROFILE ROCKET_CONFIG ROCKET_SESSIONS ROCKET_DYNAMODB_SESSIONS_ENDPOINT
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION AWS_PROFILE AWS_CONFIG_FILE
unset AWS_ENDPOINT_URL AWS_ENDPOINT_URL_DYNAMODB
export AWS_EC2_METADATA_DISABLED=true

work=$(mktemp -d)
started=()
finish() {
  for pid in "${started[@]:-}"; do
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap finish EXIT

step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

need() {
  step "needs $1"
  command -v "$1" >/dev/null || { echo "check: $1 is missing" >&2; exit 1; }
}

# Waits until a server, which wrote its log to $1, has printed the address that matches $2; prints it.
address() {
  for _ in $(seq 100); do
    if found=$(grep -oE "$2" "$1" | head -n 1) && [ -n "$found" ]; then
      echo "$found"
      return
    fi
    sleep 0.1
  done
  echo "check: no server came up; its log:" >&2
  cat "$1" >&2
  return 1
}

need cargo
need python3
cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
cargo clippy --version >/dev/null 2>&1 || rustup component add clippy

step "the README's test command: cargo test"
cargo test

step "formatting"
cargo fmt --all --check

step "lints"
cargo clippy --all-targets --all-features -- -D warnings

step "each feature alone"
for features in "" embedded testing cbor native zstd encrypt; do
  cargo clippy --lib --no-default-features --features "$features" -- -D warnings
done

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features

step "one HTTP stack"
for old in hyper@0.14 rustls@0.21 hyper-rustls@0.24 rusqlite@0.31; do
  if cargo tree --edges normal --invert "$old" >/dev/null 2>&1; then
    echo "check: the dependencies bring $old" >&2
    exit 1
  fi
done

step "the oldest Rocket, and Rocket's features"
utils/rocket-versions.sh

step "examples and the benchmark build"
cargo build --examples
cargo bench --no-run

step "instructions beside the same routes by hand"
utils/count.sh

step "utils/create-table.sh, tried over HTTP"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'awscli>=1.40,<2' 'moto[server]==5.2.5'
cargo run --quiet --example emulator -- 0 >"$work/emulator.log" 2>&1 &
started+=($!)
emulator=$(address "$work/emulator.log" 'http://127\.0\.0\.1:[0-9]+')
local_aws() { env AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1 "$@"; }
export PATH="$work/venv/bin:$PATH"
for _ in once again; do
  local_aws utils/create-table.sh created --endpoint-url "$emulator"
done
look() { local_aws aws dynamodb "$@" --table-name created --endpoint-url "$emulator" --output text; }
[ "$(look describe-table --query 'Table.[KeySchema[0].AttributeName,KeySchema[0].KeyType,length(KeySchema)]')" = $'id\tHASH\t1' ]
[ "$(look describe-table --query 'Table.BillingModeSummary.BillingMode')" = PAY_PER_REQUEST ]
[ "$(look describe-time-to-live --query 'TimeToLiveDescription.[TimeToLiveStatus,AttributeName]')" = $'ENABLED\tttl' ]
echo "key, billing and TTL are as they should be"

step "the tests over HTTP, against the engine's own server"
over_http=(first_light races lost_answers was_it_us ends rotations servers handles contention lives holders user_code ending
  streams client_input failures model)
ROCKET_DYNAMODB_SESSIONS_ENDPOINT=$emulator cargo test "${over_http[@]/#/--test=}"

step "the sequential tests, against moto"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$work/venv/bin/moto_server" -H 127.0.0.1 -p "$port" >"$work/moto.log" 2>&1 &
started+=($!)
moto=$(address "$work/moto.log" 'http://127\.0\.0\.1:[0-9]+')
# moto's writes are not atomic among each other, so what a test sends in parallel on purpose is left out; and its figures
# of consumed capacity are constants.
sequential=(first_light races lost_answers lives)
ROCKET_DYNAMODB_SESSIONS_ENDPOINT=$moto cargo test "${sequential[@]/#/--test=}" -- --test-threads=1 \
  --skip twenty_parallel --skip ten_parallel --skip parallel_changes --skip billed

step "all is well"
