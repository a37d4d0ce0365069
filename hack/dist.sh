#!/usr/bin/env bash
# Builds the archives that krew.yaml names into dist/: the plugin and its licence, for every platform. VERSION and RUNNER_IMAGE go into the
# plugin as in `make build`.
set -euo pipefail
cd "$(dirname "$0")/.."

platforms=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64)

mkdir -p dist
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT

for platform in "${platforms[@]}"; do
  os=${platform%/*} arch=${platform#*/}
  dir=$staging/$os-$arch name=kubectl-kanister
  [[ $os != windows ]] || name+=.exe
  mkdir "$dir"
  echo "building $os/$arch"
  GOOS=$os GOARCH=$arch CGO_ENABLED=0 go build -trimpath -ldflags "$LDFLAGS" -o "$dir/$name" ./cmd/kubectl-kanister
  cp LICENSE "$dir"
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" -C "$dir" -cf - LICENSE "$name" |
    gzip -n >"dist/kubectl-kanister_${os}_$arch.tar.gz"
done

(cd dist && sha256sum kubectl-kanister_*.tar.gz >SHA256SUMS && cat SHA256SUMS)
