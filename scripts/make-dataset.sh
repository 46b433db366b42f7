#!/usr/bin/env bash
# Builds the data that refrag trains and evaluates on, from what Debian 12 packages carry: a corpus, package records,
# questions with passages, in three splits that share no source package. docs/data.md tells what is in it.
#
#   scripts/make-dataset.sh [--out DIR] [--small] [--offline] [--quiet]
#
#   --out DIR        where the data goes (default .cache/dataset)
#   --cache DIR      package index, packages and finished parts (default .cache/dataset-cache); remove it for a new index
#   --held-out FILE  packages that training must not see, JSON lines with "id" (default data/packages-heldout.jsonl)
#   --small          a subset, for tries: fewer texts, packages and questions
#   --offline        takes everything from the cache
#   --quiet          no progress
#
# Needs apt-get, dpkg-deb and python3, no root: nothing is installed. Interrupted, it goes on where it was. The same
# package index gives the same bytes; manifest.json has their SHA-256.
set -euo pipefail
for argument in "$@"; do
  case "$argument" in -h|--help) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
done
scripts=$(dirname "$0")
command -v python3 >/dev/null || { echo "make-dataset: error: python3 not found; scripts/setup.sh installs it" >&2; exit 1; }
PYTHONDONTWRITEBYTECODE=1 exec python3 "$scripts/dataset/build.py" "$@"
