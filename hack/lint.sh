#!/usr/bin/env bash
# Runs the pinned golangci-lint (hack/tools) on the modules named, with the one configuration of the repository.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
bin=${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-kanister/bin
mkdir -p "$bin"
version=$(cd hack/tools && go list -m -f '{{.Version}}' github.com/golangci/golangci-lint/v2)
lint=$bin/golangci-lint-$version
if [[ ! -x $lint ]]; then
  echo "building golangci-lint $version" >&2
  (cd hack/tools && CGO_ENABLED=0 go build -o "$lint.tmp.$$" github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
  mv "$lint.tmp.$$" "$lint"
fi
# The linter's cache names files by the path they had: another checkout of the same content would read them there.
GOLANGCI_LINT_CACHE=$bin/../lint/$(sha256sum <<<"$root" | cut -c -12)
export GOLANGCI_LINT_CACHE
status=0
for module in "$@"; do
  (cd "$module" && "$lint" run --allow-serial-runners --config "$root/.golangci.yml" ./...) || status=1
done
exit $status
