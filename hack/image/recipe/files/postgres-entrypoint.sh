#!/usr/bin/env bash
# Starts PostgreSQL as any user but root, making a database cluster first when there is none.
#
#   PGDATA                     directory of the cluster
#   POSTGRES_PASSWORD          of the superuser; needed to make a cluster, unless POSTGRES_HOST_AUTH_METHOD=trust
#   POSTGRES_USER              superuser, "postgres" by default
#   POSTGRES_DB                database to make, POSTGRES_USER by default
#   POSTGRES_INITDB_ARGS       more arguments for initdb
#   POSTGRES_HOST_AUTH_METHOD  for connections from other hosts, scram-sha-256 by default
#   /docker-entrypoint-initdb.d/*.{sh,sql,sql.gz} run once in a new cluster
#
# Each POSTGRES_… may be given as POSTGRES_…_FILE, the name of a file with the value.
set -euo pipefail

say() { printf '%s entrypoint: %s\n' "$(date -u '+%F %T')" "$*" >&2; }
die() { say "$*"; exit 1; }

from_file() {
  local file="${1}_FILE"
  if [[ -n "${!file:-}" ]]; then
    [[ -z "${!1:-}" ]] || die "both $1 and $file are set: unset one"
    export "$1=$(<"${!file}")"
    unset "$file"
  fi
}

# The cluster is made beside its place and moved there, PG_VERSION last: a pod killed meanwhile starts over or carries on.
make_cluster() {
  local making="$PGDATA/.making" entry
  if [[ ! -e "$making/.complete" ]]; then
    rm -rf "$making"
    entry=$(find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name lost+found -print -quit)
    if [[ -n "$entry" ]]; then
      die "$PGDATA has no PG_VERSION but is not empty (there is $entry): refusing to make a cluster over what may be data"
    fi
    init_cluster "$making"
    touch "$making/.complete"
  fi
  say "moving new cluster into place"
  find "$making" -mindepth 1 -maxdepth 1 ! -name PG_VERSION ! -name .complete -exec mv -t "$PGDATA" {} +
  if [[ -e "$making/PG_VERSION" ]]; then mv -t "$PGDATA" "$making/PG_VERSION"; fi
  rm -rf "$making"
}

init_cluster() {
  local dir=$1 auth="${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" sockets
  [[ -n "${POSTGRES_PASSWORD:-}" || "$auth" == trust ]] ||
    die "POSTGRES_PASSWORD is not set: it becomes the password of user $POSTGRES_USER in the new cluster"
  say "making a cluster in $PGDATA"
  # shellcheck disable=SC2086 # several arguments are meant
  initdb --pgdata="$dir" --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:-}") \
    --auth-local=trust --auth-host="$auth" --encoding=UTF8 ${POSTGRES_INITDB_ARGS:-} >&2
  printf 'host all all all %s\n' "$auth" >> "$dir/pg_hba.conf"

  sockets=$(mktemp -d)
  pg_ctl --pgdata="$dir" --wait --silent --options="-c listen_addresses='' -c unix_socket_directories='$sockets'" start >&2
  export PGHOST="$sockets" PGUSER="$POSTGRES_USER"
  if [[ "$POSTGRES_DB" != postgres ]]; then
    createdb --maintenance-db=postgres "$POSTGRES_DB"
  fi
  local script
  for script in /docker-entrypoint-initdb.d/*; do
    case "$script" in
      *.sh) say "running $script"; bash "$script" ;;
      *.sql) say "running $script"; psql -v ON_ERROR_STOP=1 --no-psqlrc --dbname="$POSTGRES_DB" --file="$script" >&2 ;;
      *.sql.gz) say "running $script"; gunzip -c "$script" | psql -v ON_ERROR_STOP=1 --no-psqlrc --dbname="$POSTGRES_DB" >&2 ;;
    esac
  done
  pg_ctl --pgdata="$dir" --mode=fast --wait --silent stop >&2
  unset PGHOST PGUSER
  rm -rf "$sockets" "$dir/postmaster.opts"
}

if [[ "${1:-}" == -* ]]; then set -- postgres "$@"; fi
if [[ "${1:-postgres}" != postgres ]]; then exec "$@"; fi
[[ $# -gt 0 ]] || set -- postgres

[[ "$(id -u)" != 0 ]] || die "PostgreSQL refuses to run as root: set runAsUser, for example to 999"
for name in POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB POSTGRES_INITDB_ARGS; do from_file "$name"; done
: "${PGDATA:?is not set}" "${POSTGRES_USER:=postgres}" "${POSTGRES_DB:=$POSTGRES_USER}"
umask 0077
mkdir -p "$PGDATA"
# A kubelet that applies fsGroup gives the group access, which PostgreSQL refuses. Of a volume's own root we may not be the owner.
chmod 0700 "$PGDATA" 2>/dev/null || :
[[ -s "$PGDATA/PG_VERSION" ]] || make_cluster
shift
exec postgres -c listen_addresses='*' "$@"
