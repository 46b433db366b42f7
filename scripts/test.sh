#!/usr/bin/env bash
# Sets up, builds and tests everything, on any machine that setup.sh can prepare. About half an hour on two cores from
# nothing; minutes when the builds are there.
#
#   scripts/test.sh                    all of the below
#   scripts/test.sh lint               clang-format over the sources
#   scripts/test.sh release            optimised build: unit, golden, end-to-end and fuzz tests
#   scripts/test.sh dev                address and undefined-behaviour sanitizers, the parts without libtorch
#                                      (scripts/test-long.sh dev: all parts)
#   scripts/test.sh tsan               thread sanitizer, the parts without libtorch
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in -h|--help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
stages=("$@")
[ $# -gt 0 ] || stages=(lint release dev tsan)

jobs=${REFRAG_JOBS:-$(nproc)}
# Tests run side by side: threads that wait for one another give the processor away instead of spinning.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
export REFRAG_FUZZ_ROUNDS=${REFRAG_FUZZ_ROUNDS:-500}  # scripts/test-long.sh fuzz has far more
logs=build/test-logs
mkdir -p "$logs"

lint() {
  git ls-files '*.cpp' '*.h' '*.c' | xargs -r clang-format --dry-run -Werror
  echo "lint: clang-format is clean"
}

preset() {  # preset NAME [CMAKE_OPTION...]
  local name=$1 began=$SECONDS
  cmake --preset "$@" >"$logs/$name.configure" 2>&1 || { cat "$logs/$name.configure"; return 1; }
  cmake --build --preset "$name" -j "$jobs" >"$logs/$name.build" 2>&1 || { tail -60 "$logs/$name.build"; return 1; }
  echo "$name: built in $((SECONDS - began)) s"
  began=$SECONDS
  if ! ctest --preset "$name" -L "${labels:-.}" -j "$jobs" --output-junit "$PWD/$logs/$name.xml" >"$logs/$name.tests" 2>&1; then
    tail -25 "$logs/$name.tests"
    # One by one and in full: a test that passes only now is told by its name above, and depends on the load.
    echo "$name: once more what failed:"
    ctest --preset "$name" --rerun-failed || return 1
  fi
  grep 'tests passed' "$logs/$name.tests"
  echo "$name: tested in $((SECONDS - began)) s"
}

scripts/setup.sh --dev
for stage in "${stages[@]}"; do
  case "$stage" in
    lint) lint ;;
    release) preset release -DREFRAG_MPI=ON ;;
    # Unity builds: many sources in one compilation take two thirds of the time. Release shows that each stands alone.
    dev) preset dev -DREFRAG_TORCH=OFF -DCMAKE_UNITY_BUILD=ON ;;
    tsan) labels=unit preset tsan -DCMAKE_UNITY_BUILD=ON ;;  # what the golden tests run has one thread
    *) echo "test: error: unknown stage '$stage'; expected lint, release, dev or tsan" >&2; exit 2 ;;
  esac
done
