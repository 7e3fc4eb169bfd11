#!/usr/bin/env bash
# Counts the instructions of a dispatch by callgrind, with the guard and by hand, and fails where the guard costs more than
# its bound. Pairs may be named: utils/count.sh read-1kb login
set -euo pipefail
cd "$(dirname "$0")/.."

# Pair of benches/guard, dispatches, and the most that the guard may cost: so many times the route by hand, or (+) so many
# instructions above it, or (-) not yet bounded.
bounds='
read-200b            20  -
read-1kb             20  1.03
read-4kb             20  -
read-40kb            20  -
read-40kb-nested     20  0.6
read-1100-keys       20  1.05
change-200b          20  -
change-1kb           20  1.07
change-4kb           20  -
change-40kb          20  -
change-40kb-nested   20  0.8
change-1100-keys     20  -
visitor             100  +12000
refresh              20  -
login                20  -
flush-1000            1  1.08
'

if ! command -v valgrind >/dev/null; then
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get update -qq
  $sudo apt-get install -qq --no-install-recommends valgrind >/dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The profile has no line tables: callgrind starts in a second without, and counts the same. It needs the names of functions.
cargo bench --bench guard --no-run --message-format=json >"$work/build.json"
program=$(sed -n 's/.*"kind":\["bench"\].*"executable":"\([^"]*\)".*/\1/p' "$work/build.json" | tail -n 1)
[ -x "$program" ] || { echo "count: cargo built no benchmark" >&2; exit 1; }

# The instructions of one dispatch of route $1, on average over $2.
instructions() {
  if ! valgrind --tool=callgrind --toggle-collect='*counted_dispatches*' --callgrind-out-file="$work/callgrind" \
    "$program" --count "$1" "$2" >"$work/log" 2>&1; then
    cat "$work/log" >&2
    return 1
  fi
  total=$(sed -n 's/^summary: //p' "$work/callgrind")
  [ "${total:-0}" -gt 0 ] || { echo "count: callgrind counted nothing for $1" >&2; return 1; }
  echo $((total / $2))
}

failed=0
printf '%-20s %12s %12s %7s %10s  %s\n' route guard hand ratio above bound
while read -r pair times bound; do
  [ -n "$pair" ] || continue
  [ $# = 0 ] || [[ " $* " = *" $pair "* ]] || continue
  guard=$(instructions "guard/$pair" "$times")
  hand=$(instructions "hand/$pair" "$times")
  awk -v pair="$pair" -v guard="$guard" -v hand="$hand" -v bound="$bound" 'BEGIN {
    above = guard - hand
    exceeded = bound != "-" && (bound ~ /^\+/ ? above > bound + 0 : guard > hand * bound)
    printf "%-20s %12d %12d %7.3f %10d  %s\n", pair, guard, hand, guard / hand, above, bound (exceeded ? "  EXCEEDED" : "")
    exit exceeded
  }' || failed=1
done <<<"$bounds"

if [ "$failed" = 1 ]; then
  echo "count: the guard costs more than its bound" >&2
  exit 1
fi
