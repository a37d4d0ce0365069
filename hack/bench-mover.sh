#!/usr/bin/env bash
# The data mover against kopia's own command line with its defaults: CPU seconds, wall time and peak memory of each, on the same data
# and the same S3 server over TLS. KANISTER_BENCH_MIB makes it smaller.
set -euo pipefail
cd "$(dirname "$0")/.."

go test -run '^$' -bench "Mover/${1:-}" -benchtime 1x -timeout 60m ./runner/mover | awk '
  /^Benchmark/ {
    name = $1; sub(/^BenchmarkMover\//, "", name); sub(/-[0-9]+$/, "", name)
    for (i = 3; i < NF; i += 2) value[$(i + 1)] = $i
    printf "%-28s %6.2f CPU s  %6.1f s  %4d MiB\n", name, value["cpu-s"], value["ns/op"] / 1e9, value["MiB-rss"]
    cpu[name] = value["cpu-s"]; rss[name] = value["MiB-rss"]
    next
  }
  /FAIL|panic/ { print; failed = 1 }
  END {
    ours = "incompressible/backup/ours"; theirs = "incompressible/backup/kopia"
    if (cpu[theirs] > 0) printf "backup, CPU of kopia         %.2f (goal: at most 0.50), peak memory %d MiB (goal: at most 300)\n", cpu[ours] / cpu[theirs], rss[ours]
    exit failed
  }'
