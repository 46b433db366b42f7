#!/usr/bin/env bash
# The same prompt through refrag, llama.cpp and Hugging Face transformers: same shape, random weights, equal threads.
#
#   scripts/bench-peers.sh [--shape tinyllama] [--context 2048] [--k 16,32] [--threads N] [--rounds 3] [--write]
#
# Prints a table; --write puts it into docs/performance.md. The peers come from PyPI (xllamacpp, gguf, transformers,
# torch) into .cache/peers, about 1 GB. In each round every program runs once, one after another.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in -h|--help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

[ -x build/release/bin/refrag ] || { echo "bench-peers: error: build/release/bin/refrag is missing; build it first" >&2; exit 1; }
venv=.cache/peers
if [ ! -f "$venv/installed" ]; then
  echo "bench-peers: installing the peers into $venv" >&2
  mkdir -p .cache
  [ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
  pip=("$venv/bin/pip" install --quiet --disable-pip-version-check)
  "${pip[@]}" "torch==2.13.0+cpu" 2>/dev/null || "${pip[@]}" "torch==2.13.0"
  "${pip[@]}" numpy gguf xllamacpp "transformers==4.57.1"
  touch "$venv/installed"
fi
exec "$venv/bin/python" scripts/bench_peers.py "$@"
