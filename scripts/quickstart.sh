#!/usr/bin/env bash
# From nothing to cited answers: sets up, builds, indexes 2,000 package records, asks three questions in the three modes
# side by side, then serves them over HTTP.
#
#   scripts/quickstart.sh              ends with the server in the foreground (Ctrl-C stops it)
#   scripts/quickstart.sh --no-serve   ends before the server
#   PORT=9000 scripts/quickstart.sh    another port than 8080
set -euo pipefail
cd "$(dirname "$0")/.."
serve=true
case "${1:-}" in
  "") ;;
  --no-serve) serve=false ;;
  -h|--help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "quickstart: error: unknown option '$1'; expected --no-serve or --help" >&2; exit 2 ;;
esac

scripts/setup.sh
echo "quickstart: building (build/release)"
mkdir -p build
cmake --preset release -DREFRAG_TESTS=OFF >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
cmake --build --preset release --target refrag_cli_program refrag_server_program

bin=build/release/bin
model=models/refrag-tiny
kb=kb/packages
"$bin/refrag" index --model "$model" --kb "$kb" data/packages-heldout.jsonl

echo
echo "What the model says with no passages (none), with 8 passages as tokens (full), and with the same 8 passages as one"
echo "vector a chunk, the most telling 10 % of the chunks expanded to their tokens (refrag):"
python3 scripts/compare_modes.py --bin "$bin/refrag" --model "$model" --kb "$kb" \
  "What is the section of oomd?" \
  "Who is the maintainer of golang-filippo-age-dev?" \
  "What is the version of libtspi1?"

$serve || exit 0
port=${PORT:-8080}
cat <<TEXT

Serving on http://127.0.0.1:$port (a page to ask from is there too). In another terminal:
  curl -s http://127.0.0.1:$port/v1/query -d '{"question": "What is the section of oomd?"}'
Ctrl-C stops it.
TEXT
exec "$bin/refrag-server" --model "$model" --kb "$kb" --port "$port"
