#!/usr/bin/env bash
# Rewrites what is generated: go.mod and go.sum, golden files, pages made from code.
set -euo pipefail
cd "$(dirname "$0")/.."
for module in . hack hack/tools docs/examples/custom-runner; do
  (cd "$module" && go mod tidy)
done
mapfile -t packages < <(git grep -lE 'flag\.Bool\("update"' -- '*_test.go' ':!hack' | xargs -r -n1 dirname | sort -u)
for package in "${packages[@]}"; do
  go test "./$package" -update
done
