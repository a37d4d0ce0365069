#!/usr/bin/env bash
# Measures the figures of docs/performance.md on this machine: the plugin's start and size, a one-task run against a bare Job,
# the data mover against kopia's own command line. Prints a line for each; nothing fails because a machine is slow.
set -euo pipefail
cd "$(dirname "$0")/.."
make --no-print-directory build
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-kanister
KUBECONFIG=$(cd hack && go run ./cluster kubeconfig)
export KUBECONFIG
kubectl=$(find "$cache/bin" -name 'kubectl-v*' ! -name '*.lock' ! -name '*.new' | sort -V | tail -n 1)
plugin=$PWD/bin/kubectl-kanister
mapfile -t images < <(cd hack && go run ./image runner tools)
(cd hack && go run ./cluster load-image "${images[@]}")
namespace=bench-$$
rounds=${BENCH_ROUNDS:-5}

# median of the numbers on standard input.
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
# seconds that a command takes, its output thrown away.
seconds() { local begin=$EPOCHREALTIME; "$@" > /dev/null 2>&1; awk -v b="$begin" -v e="$EPOCHREALTIME" 'BEGIN {printf "%.3f\n", e - b}'; }
several() { for _ in $(seq "$rounds"); do seconds "$@"; done | median; }

trap '"$kubectl" delete namespace "$namespace" --wait=false > /dev/null' EXIT
"$kubectl" create namespace "$namespace" > /dev/null
scratch=$(mktemp -d)
cat > "$scratch/blueprint.yaml" <<'YAML'
apiVersion: cr.kanister.io/v1alpha1
kind: Blueprint
metadata: {name: bench}
actions:
  one:
    phases:
      - {func: KubeTask, name: only, args: {image: "kubectl-kanister/tools:dev", command: ["true"]}}
YAML

bare_job() {
  local name=bare-$RANDOM
  "$kubectl" -n "$namespace" create job "$name" --image=kubectl-kanister/tools:dev -- true
  "$kubectl" -n "$namespace" wait "job/$name" --for=condition=Complete --timeout=60s
}

printf 'plugin size                  %s MB (goal: under 60)\n' "$(($(stat -Lc %s "$plugin") / 1000000))"
printf 'version --client             %s s (goal: at most 0.060)\n' "$(several "$plugin" version --client)"
job=$(several bare_job)
run=$(several "$plugin" -n "$namespace" run one "ns/$namespace" --blueprint "$scratch/blueprint.yaml")
printf 'bare Job, Enter to complete  %s s\n' "$job"
printf 'one KubeTask run             %s s (goal: at most %s)\n' "$run" "$(awk -v j="$job" 'BEGIN {print j + 1.5}')"
rm -rf "$scratch"
hack/bench-mover.sh
