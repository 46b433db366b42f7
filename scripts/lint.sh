#!/usr/bin/env bash
# clang-format and clang-tidy over the sources that differ from a revision (default: origin/main, else all).
#
#   scripts/lint.sh [--all | REVISION]
#
# clang-tidy reads build/lint/compile_commands.json, made here: without precompiled headers, as it takes none of GCC's.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in -h|--help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
scripts/setup.sh --dev >/dev/null
mkdir -p build
cmake --preset dev -B build/lint -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DREFRAG_BENCH=ON >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }

sources() {
  if [ "${1:-}" = --all ] || { [ $# -eq 0 ] && ! git rev-parse --quiet --verify origin/main >/dev/null; }; then
    git ls-files '*.cpp' '*.h'
  else
    git diff --name-only --diff-filter=d "${1:-origin/main}" -- '*.cpp' '*.h'
    git ls-files --others --exclude-standard -- '*.cpp' '*.h'
  fi
}

mapfile -t files < <(sources "$@" | sort -u)
[ ${#files[@]} -gt 0 ] || { echo "lint: nothing differs"; exit 0; }
clang-format --dry-run -Werror "${files[@]}"
units=()
for file in "${files[@]}"; do
  # Headers are checked through the sources that include them.
  [[ $file == *.cpp && $file != examples/* ]] && units+=("$file")
done
[ ${#units[@]} -eq 0 ] || printf '%s\0' "${units[@]}" | xargs -0 -n 1 -P "$(nproc)" \
  clang-tidy --quiet -p build/lint --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-ignored-optimization-argument
echo "lint: ${#files[@]} files are clean"
