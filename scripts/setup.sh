#!/usr/bin/env bash
# Installs what refrag builds and runs with: Debian packages, and libtorch from the PyPI wheel in a virtual environment
# under the project. Run it as often as you like: it does only what is missing, and asks nothing.
#
#   scripts/setup.sh            what a build and the tests need
#   scripts/setup.sh --dev      also clang-format, clang-tidy, Google Benchmark, and Open MPI for training by several processes
#
# REFRAG_TORCH_DIR=/opt/libtorch uses your own libtorch instead of the wheel (the folder that holds share/cmake/Torch).
set -euo pipefail
cd "$(dirname "$0")/.."

torch_version=2.13.0
packages=(
  build-essential cmake ninja-build ccache pkg-config git curl ca-certificates python3 python3-venv
  libfaiss-dev libopenblas-dev libsentencepiece-dev libsqlite3-dev libicu-dev libpcre2-dev libssl-dev libxml2-dev
  libmd4c-dev libjemalloc-dev libspdlog-dev libcli11-dev nlohmann-json3-dev libcpp-httplib-dev prometheus-cpp-dev
  libgtest-dev libgmock-dev poppler-utils
)
dev_packages=(clang-format clang-tidy libbenchmark-dev libopenmpi-dev openmpi-bin)

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

case "${1:-}" in
  "") ;;
  --dev) packages+=("${dev_packages[@]}") ;;
  -h|--help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) fail "unknown option '$1'; expected --dev or --help" ;;
esac

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || printf '%s\n' "$package"
  done
}

install_packages() {
  if ! command -v apt-get >/dev/null; then
    local system
    system=$(. /etc/os-release 2>/dev/null && printf '%s' "${PRETTY_NAME:-}") || true
    fail "${system:-this system} has no apt-get. refrag is built on Debian 12; elsewhere install the counterparts of:
  ${packages[*]}"
  fi
  local missing=() as_root=()
  mapfile -t missing < <(missing_packages)
  if [ ${#missing[@]} -eq 0 ]; then
    say "Debian packages: all ${#packages[@]} are there"
    return
  fi
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "not root and no sudo; ask an administrator to install: ${missing[*]}"
    as_root=(sudo)
  fi
  say "Debian packages: installing ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null \
    || fail "apt-get could not install: ${missing[*]}"
}

require_version() {  # require_version cmake 3.25 FOUND
  [ "$(printf '%s\n' "$2" "$3" | sort -V | head -1)" = "$2" ] || fail "$1 is version $3; expected $2 or later (Debian 12 has it)"
}

install_torch() {
  if [ -n "${REFRAG_TORCH_DIR:-}" ]; then
    [ -f "$REFRAG_TORCH_DIR/share/cmake/Torch/TorchConfig.cmake" ] \
      || fail "REFRAG_TORCH_DIR is '$REFRAG_TORCH_DIR'; expected a libtorch with share/cmake/Torch/TorchConfig.cmake in it"
    say "libtorch: yours, $REFRAG_TORCH_DIR"
    return
  fi
  if compgen -G ".venv/lib/python3*/site-packages/torch/share/cmake/Torch/TorchConfig.cmake" >/dev/null; then
    say "libtorch: .venv has it"
    return
  fi
  say "libtorch: installing torch==$torch_version into .venv (about 200 MB to download)"
  [ -x .venv/bin/pip ] || python3 -m venv .venv || fail "python3 -m venv failed; is python3-venv installed?"
  # The wheel's own requirements are for Python users; the C++ library inside it needs none of them. Where pip knows an
  # index with builds for the CPU alone, they are the smaller and simpler ones.
  local pip=(.venv/bin/pip install --quiet --disable-pip-version-check --no-deps)
  "${pip[@]}" "torch==$torch_version+cpu" 2>/dev/null || "${pip[@]}" "torch==$torch_version" \
    || fail "pip could not install torch==$torch_version; set REFRAG_TORCH_DIR to a libtorch of your own"
  compgen -G ".venv/lib/python3*/site-packages/torch/share/cmake/Torch/TorchConfig.cmake" >/dev/null \
    || fail "the wheel torch==$torch_version has no share/cmake/Torch in it"
  if compgen -G ".venv/lib/python3*/site-packages/torch/lib/libtorch_cuda.so" >/dev/null; then
    .venv/bin/pip uninstall --quiet --yes torch
    fail "pip gave a build of torch==$torch_version for CUDA, which does not work without CUDA's libraries.
  Point pip to PyTorch's index for the CPU and run this again: PIP_EXTRA_INDEX_URL=ADDRESS $0
  (its ADDRESS is on PyTorch's page 'Get started': Linux, Pip, CPU), or set REFRAG_TORCH_DIR to a libtorch of your own, which may be one for CUDA"
  fi
}

install_packages
require_version cmake 3.25 "$(cmake --version | sed -n '1s/[^0-9]*//p')"
require_version g++ 12 "$(g++ -dumpfullversion)"
install_torch
say "done"
