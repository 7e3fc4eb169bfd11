#!/usr/bin/env bash
# Creates the table of the sessions with the AWS command line: on-demand billing, TTL switched on. Running it again
# changes nothing.
#
#   utils/create-table.sh [TABLE] [AWS OPTIONS …]
#   utils/create-table.sh sessions --region eu-west-1
#   utils/create-table.sh sessions --endpoint-url http://localhost:8000
set -euo pipefail

table=sessions
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
  table=$1
  shift
fi
command -v aws >/dev/null || { echo "create-table: the AWS command line is needed (pip install awscli)" >&2; exit 1; }

dynamodb() { aws dynamodb "$@"; }

if described=$(dynamodb describe-table --table-name "$table" "$@" 2>&1); then
  echo "create-table: the table $table exists" >&2
elif grep -q ResourceNotFoundException <<<"$described"; then
  dynamodb create-table --table-name "$table" --billing-mode PAY_PER_REQUEST \
    --attribute-definitions AttributeName=id,AttributeType=S \
    --key-schema AttributeName=id,KeyType=HASH "$@" >/dev/null
  dynamodb wait table-exists --table-name "$table" "$@"
  echo "create-table: created the table $table" >&2
else
  echo "$described" >&2
  exit 1
fi

ttl=$(dynamodb describe-time-to-live --table-name "$table" \
  --query TimeToLiveDescription.TimeToLiveStatus --output text "$@")
case $ttl in
  ENABLED | ENABLING) echo "create-table: TTL is on" >&2 ;;
  *)
    dynamodb update-time-to-live --table-name "$table" \
      --time-to-live-specification Enabled=true,AttributeName=ttl "$@" >/dev/null
    echo "create-table: switched TTL on, attribute ttl" >&2
    ;;
esac
