#!/usr/bin/env bash
# Prepares the running test cluster (images, object store) and runs the end-to-end tests on it. Arguments go to go test.
set -euo pipefail
cd "$(dirname "$0")/.."
make --no-print-directory build
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-kanister
KUBECONFIG=$(cd hack && go run ./cluster kubeconfig)
KANISTER_AUDIT_LOG=$(cd hack && go run ./cluster audit-log)
KANISTER_PLUGIN=$PWD/bin/kubectl-kanister
KUBECTL=$(find "$cache/bin" -name 'kubectl-v*' ! -name '*.lock' ! -name '*.new' | sort -V | tail -n 1)
export KUBECONFIG KANISTER_AUDIT_LOG KANISTER_PLUGIN KUBECTL
mapfile -t images < <(cd hack && go run ./image all fakegcs azurite)
(cd hack && go run ./cluster load-image "${images[@]}")
for kind in s3 gcs azure; do
	eval "$(cd hack && go run ./backends up --kind "$kind" --bucket e2e)"
done
go test -tags e2e -count=1 -timeout 40m -parallel "${E2E_PARALLEL:-4}" "$@" ./e2e/...
