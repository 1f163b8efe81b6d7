# Sourced by bench/*/run: options, the meter, and what all of them print first.
#   run --build BUILD_DIR
set -euo pipefail
bench=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
build=build/release
while (($# > 1)); do
  [[ $1 != --build ]] || build=$2
  shift 2
done
waggle=$(realpath "$build/waggle")
[[ $(id -u) == 0 ]] || { echo "error: benches load BPF and need root" >&2; exit 1; }
scratch=$(mktemp -d "${TMPDIR:-/tmp}/waggle-bench.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
meter=$scratch/meter
g++ -std=c++20 -O2 -o "$meter" "$bench/meter.cc"
# libbpf-tools are in sbin, where not every root's PATH looks.
PATH=$PATH:/usr/sbin:/usr/local/sbin
# bpftrace asks for what this kernel does not need; its own message says so too.
ulimit -l unlimited 2>/dev/null || true

about() {  # about TITLE
  printf '%s\n  %s, %s CPUs, %s\n' "$1" "$(uname -r)" "$(nproc)" "$(date -u +%F)"
}
have() { command -v "$1" >/dev/null || { printf '  %-28s not installed, not compared\n' "$1"; return 1; }; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b > 0) printf "%.2f", a / b; else printf "-" }'; }
# The last lines of a tracer's stderr hold what it says it lost.
stop() { kill -INT "$1" 2>/dev/null || true; wait "$1" || true; }
