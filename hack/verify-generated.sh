#!/usr/bin/env bash
# Fails when go.mod or go.sum of a module is not what its imports ask for. Generated pages and golden files are compared by
# unit tests, each beside its source; hack/update-generated.sh rewrites them.
set -euo pipefail
cd "$(dirname "$0")/.."
for module in . hack hack/tools docs/examples/custom-runner; do
  (cd "$module" && go mod tidy -diff) || {
    echo "in $module: go.mod or go.sum is out of date; run hack/update-generated.sh" >&2
    exit 1
  }
done
