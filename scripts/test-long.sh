#!/usr/bin/env bash
# The full campaigns: too long for every change, run before a release. Each prints its figures.
#
#   scripts/test-long.sh kills       100 SIGKILLs during `refrag index`, 200 in the store's own test
#   scripts/test-long.sh fuzz        every fuzz test with 50 times the rounds, or 250 s each, under the sanitizers
#   scripts/test-long.sh real        real weights: fetches SmolLM2-135M-Instruct and all-MiniLM-L6-v2, runs their tests
#   scripts/test-long.sh eval        refrag eval qa on the default model, as its refrag.json reports
#   scripts/test-long.sh index       10,000 package records: documents a second, peak memory
#   scripts/test-long.sh ablations   the ablations of docs/results.md: needs .cache/dataset, 110 minutes of one core
#   scripts/test-long.sh dev         every test under the address and undefined-behaviour sanitizers
#   scripts/test-long.sh all         all but the ablations
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in -h|--help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

build() {
  mkdir -p build
  cmake --preset "$1" >build/configure.log 2>&1
  cmake --build --preset "$1" | tail -1
}

kills() {
  build release
  REFRAG_KILLS=100 ctest --preset release -V -R 'e2e.test_index_kills' | grep -E 'kills|Passed|Failed|OK'
  REFRAG_KILLS=200 ctest --preset release -R 'Kill'
}

fuzz() {
  build dev
  REFRAG_FUZZ_ROUNDS=100000 REFRAG_FUZZ_SECONDS=250 ctest --preset dev -L fuzz
}

real() {
  scripts/fetch-smollm2.sh
  scripts/fetch-minilm.sh
  build release
  export REFRAG_SMOLLM2_DIR=$PWD/.cache/models/smollm2-135m-instruct REFRAG_MINILM_DIR=$PWD/.cache/models/minilm
  ctest --preset release -L golden | tee build/real.log
  ctest --preset release -V -R e2e.test_real_models | tee -a build/real.log
  if grep -E 'Skipped|skipped=' build/real.log; then
    echo "test-long: error: these tests were skipped although the weights are there" >&2
    exit 1
  fi
}

evaluate() {
  build release
  for passages in 2 4 8; do
    build/release/bin/refrag eval qa --model models/refrag-tiny --data data/qa-heldout.jsonl \
      --documents data/packages-heldout.jsonl --passages "$passages" --limit 384 --expand 0,0.1,0.25 --by policy,random --seed 1
  done
}

index() {
  build release
  python3 scripts/make_records.py 10000 >build/records-10000.jsonl
  rm -rf build/kb-10000
  build/release/bin/refrag index --model models/refrag-tiny --kb build/kb-10000 build/records-10000.jsonl
}

ablations() {
  build release
  scripts/ablations.sh --jobs 2
}

case "${1:-}" in
  kills) kills ;;
  fuzz) fuzz ;;
  real) real ;;
  eval) evaluate ;;
  index) index ;;
  ablations) ablations ;;
  dev) build dev && ctest --preset dev ;;
  all) kills; fuzz; real; evaluate; index; build dev && ctest --preset dev ;;
  *) echo "test-long: error: unknown campaign '${1:-}'; see --help" >&2; exit 2 ;;
esac
