#!/usr/bin/env bash
# The demo: a cluster, PostgreSQL with real rows in it, a backup, the destruction of its data, the restore, and the proof that
# every row is back. Builds what is missing; may be run again. `make demo` calls it.
set -euo pipefail

readonly namespace=demo rows=${DEMO_ROWS:-1500000}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here hack=${here%/demo} root=${here%/hack/demo}
readonly cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-kanister

if [[ -t 1 ]]; then bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'; else bold='' dim='' red='' green='' plain=''; fi

step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '%s   %s%s\n' "$dim" "$*" "$plain"; }
good() { printf '%s   %s%s\n' "$green" "$*" "$plain"; }
die() { printf '\n%s%s%s\n' "$red" "$*" "$plain" >&2; exit 1; }
# show prints a command as a user would type it, and runs it.
show() {
  local word line=''
  for word in "$@"; do
    if [[ "$word" =~ [^[:alnum:]_./:=@%+,-] ]]; then word="'$word'"; fi
    line+=" $word"
  done
  printf '%s$%s%s\n' "$bold" "$line" "$plain"
  "$@"
}

doing="starting" beat=""
# long names what is being done, and says every 15 seconds that it still is, until quiet is called: compilers and downloads are
# silent.
long() {
  quiet
  doing=$1
  (while sleep 15 > /dev/null 2>&1; do note "still $doing, ${SECONDS}s since the start"; done) &
  beat=$!
}
quiet() {
  if [[ -n "$beat" ]]; then kill "$beat" 2> /dev/null || :; wait "$beat" 2> /dev/null || :; beat=""; fi
}
finish() {
  local code=$?
  quiet
  [[ $code -eq 0 ]] || printf '\n%sdemo failed while %s (exit code %d)%s\n' "$red" "$doing" "$code" "$plain" >&2
}
trap finish EXIT

hack_run() { (cd "$hack" && go run "$@"); }

sql() { kubectl exec --namespace "$namespace" postgres-0 --container postgres -- psql --username=postgres --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --command="$1"; }

# checksum of the whole table: how many rows there are, and a digest of all in order.
checksum() { sql "SELECT count(*) || ' rows, md5 ' || md5(string_agg(digest, '' ORDER BY id)) FROM (SELECT id, md5(orders::text) AS digest FROM orders) AS each"; }

# ready waits for the pod itself: what a StatefulSet says of itself lags behind.
ready() {
  kubectl wait --namespace "$namespace" --for=create pod/postgres-0 --timeout=60s > /dev/null
  kubectl wait --namespace "$namespace" --for=condition=Ready pod/postgres-0 --timeout=120s > /dev/null
}

# demo_images prints the tars of the runner and of PostgreSQL. Where there is Docker instead of Debian, Docker has the latter.
demo_images() {
  if [[ $EUID -eq 0 ]] && command -v apt-get > /dev/null; then
    hack_run ./image runner postgres
    return
  fi
  local tar=$cache/images/postgres-from-docker.tar
  hack_run ./image runner
  docker pull --quiet postgres:15 >&2
  docker tag postgres:15 kubectl-kanister/postgres:15
  docker save --output "$tar" kubectl-kanister/postgres:15
  printf '%s\n' "$tar"
}

# app prints the application's manifest, with the cluster's default storage where there is no CSI driver with snapshots.
app() {
  if kubectl get storageclass csi-btrfs > /dev/null 2>&1; then cat "$here/app.yaml"; else grep -v 'storageClassName:' "$here/app.yaml"; fi
}

# kubectl finds the plugin as kubectl-kanister in PATH. A native cluster comes with the kubectl of its version.
prepare_path() {
  local kubectl
  mkdir -p "$cache/demo"
  kubectl=$(find "$cache/bin" -name 'kubectl-v*' ! -name '*.lock' ! -name '*.new' | sort -V | tail -n 1)
  if [[ -n "$kubectl" ]]; then ln -sf "$kubectl" "$cache/demo/kubectl"; fi
  export PATH="$root/bin:$cache/demo:$PATH"
  command -v kubectl > /dev/null || die "kubectl is neither in $cache/bin nor in PATH"
}

step "Building the plugin and the images, starting the cluster"
note "On a fresh machine this takes about half an hour; the second time seconds."
long "building the plugin"
make --silent -C "$root" build
long "starting the cluster"
hack_run ./cluster up
admin=$(hack_run ./cluster kubeconfig)
prepare_path
# A kubeconfig of the demo's own, so that its namespace is nobody else's default.
export KUBECONFIG=$cache/demo/kubeconfig
install -m 0600 "$admin" "$KUBECONFIG"
kubectl config set-context --current --namespace="$namespace" > /dev/null
long "building the images"
mapfile -t images < <(demo_images)
[[ ${#images[@]} -eq 2 ]] || die "the images could not be built"
long "loading the images"
hack_run ./cluster load-image "${images[@]}"
quiet

step "An application: PostgreSQL in namespace $namespace"
doing="deploying PostgreSQL"
kubectl delete namespace "$namespace" --ignore-not-found --wait --timeout=120s
app | kubectl apply --filename - > /dev/null
kubectl create secret generic postgres --namespace "$namespace" \
  --from-literal=password="$(head -c 18 /dev/urandom | base64)" > /dev/null
show kubectl rollout status sts/postgres --timeout=120s

step "$rows rows"
doing="writing rows"
sql "CREATE TABLE orders (id bigint PRIMARY KEY, customer text NOT NULL, placed timestamptz NOT NULL, cents integer NOT NULL)"
sql "INSERT INTO orders SELECT n, md5(n::text) || md5((n * 7919)::text), timestamptz '2026-01-01' + n * interval '7 seconds', (n * 31) % 100000
     FROM generate_series(1::bigint, $rows) AS n"
written=$(checksum)
[[ "$written" == "$rows rows, md5 "* ]] || die "the table holds '$written', not $rows rows"
note "database size $(sql "SELECT pg_size_pretty(pg_database_size('postgres'))")"
good "$written"

step "A place for backups: a volume in the cluster"
doing="creating the profile"
show kubectl kanister profile create file --claim backups --size 5Gi

step "Backup"
doing="backing up"
show kubectl kanister backup sts/postgres
doing="finding the backup"
backup=$(kubectl kanister get backups -o name | tail -n 1)
backup=${backup##*/}
[[ -n "$backup" ]] || die "there is no backup, although making it succeeded"

step "Disaster: the data directory is deleted"
doing="destroying the data"
# shellcheck disable=SC2016 # $PGDATA is the container's
show kubectl exec postgres-0 -- bash -c 'rm -rf "$PGDATA"'
show kubectl delete pod postgres-0 --grace-period=5
ready
if lost=$(sql "SELECT count(*) FROM orders" 2>&1); then die "the rows survived the disaster: $lost"; fi
[[ "$lost" == *'relation "orders" does not exist'* ]] || die "the disaster is not the one that was meant: $lost"
note "PostgreSQL starts, and is empty: ${lost%%$'\n'*}"

step "Restore"
doing="restoring"
show kubectl kanister restore --from "$backup"
ready

step "Are all rows back?"
doing="comparing rows"
restored=$(checksum)
note "written  $written"
note "restored $restored"
[[ "$written" == "$restored" ]] || die "the restored rows are not those that were written"
good "every row is back"

step "What there is"
doing="listing backups"
show kubectl kanister get backups

cat <<TEXT

${bold}What to try next${plain}
  export KUBECONFIG=$KUBECONFIG PATH=$root/bin:$cache/demo:\$PATH

  kubectl kanister backup sts/postgres --dry-run=client -o yaml     # all that a backup creates, for a review
  kubectl kanister describe $backup

  # S3 instead of a volume: versitygw over TLS, with a certificate authority of its own
  cd $hack && go run ./cluster load-image \$(go run ./image versitygw)
  eval "\$(go run ./backends up --bucket backups)"
  kubectl kanister profile create s3 offsite --bucket backups --endpoint \$S3_ENDPOINT --ca-bundle \$S3_CA_FILE
  kubectl kanister profile check offsite
  kubectl kanister backup sts/postgres --profile offsite

  # a blueprint of your own
  kubectl kanister get functions
  kubectl kanister validate -f my-blueprint.yaml
  kubectl kanister run my-action sts/postgres --blueprint my-blueprint.yaml

${bold}To remove everything${plain}
  make -C $root cluster-down WIPE=1      # the cluster, its volumes and its backups
  rm -rf $cache      # what was built
TEXT
