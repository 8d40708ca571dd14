#!/usr/bin/env bash
# Everything that must hold before a change lands: installs what is missing, builds with warnings as
# errors, runs the tests, then again by clang with the sanitizers. Stops at the first failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

jobs=$(nproc)
step() { printf '\n== %s (%d s so far)\n' "$*" "$SECONDS"; }

step "Packages"
scripts/setup.sh g++ cmake ninja-build zlib1g-dev libpng-dev libjpeg-dev nlohmann-json3-dev libcli11-dev libtomlplusplus-dev libgtest-dev \
  libgmock-dev librapidcheck-dev libprotozero-dev libonnx-testdata clang clang-format clang-tidy \
  dataset-fashion-mnist

step "Format"
git ls-files -- '*.h' '*.cc' | xargs clang-format --dry-run -Werror

step "Lines"
tools/count_lines

step "gcc: build with warnings as errors, and test"
cmake --preset ci >/dev/null
cmake --build --preset ci --parallel "$jobs"
ctest --preset ci --parallel "$jobs"

step "clang: build with warnings as errors and the address and undefined-behaviour sanitizers"
cmake --preset asan >/dev/null
cmake --build --preset asan --parallel "$jobs"

step "clang-tidy: the core"
git ls-files -- 'src/base/*.cc' 'src/ir/*.cc' 'src/ad/*.cc' 'src/passes/*.cc' 'src/exec/*.cc' \
  | xargs -P "$jobs" -n 4 clang-tidy -p build-asan --quiet 2>/dev/null

step "Tests under these sanitizers"
ctest --preset asan --parallel "$jobs"

step "Thread sanitizer: the team, the plans and the loader"
cmake --preset tsan >/dev/null
cmake --build --preset tsan --parallel "$jobs" --target soma_test_base soma_test_exec soma_test_loader
ctest --preset tsan

step "Everything holds"
