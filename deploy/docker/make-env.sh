#!/bin/sh
# Writes .env from .env.example with a fresh value for every secret. Never over one that is there.
set -eu
cd "$(dirname "$0")/../.."
if [ -e .env ]; then
  echo "error: .env is there already; its secrets are in use" >&2
  exit 1
fi
umask 077
while IFS= read -r line; do
  case $line in
    [A-Z]*=) line=$line$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n') ;;
  esac
  printf '%s\n' "$line"
done < .env.example > .env.new
mv .env.new .env
echo "made .env"
