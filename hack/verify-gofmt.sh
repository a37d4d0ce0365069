#!/usr/bin/env bash
# Fails and names the files that gofmt would change.
set -euo pipefail
cd "$(dirname "$0")/.."
files=$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l)
if [[ -n $files ]]; then
  printf 'not gofmt-ed:\n%s\n' "$files" >&2
  exit 1
fi
