#!/usr/bin/env bash
# Feeds made-up bytes to everything that reads files or text from outside, under the sanitizers.
#   scripts/fuzz.sh [SECONDS [READER...]]     60 seconds for each of the readers of tests/fuzz
# What was found stays in build-fuzz/found; the inputs that reached something new, in
# build-fuzz/corpus, from which the next run goes on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-60}
readers=("${@:2}")
scripts/setup.sh clang libclang-rt-dev cmake ninja-build zlib1g-dev libpng-dev libjpeg-dev
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz >/dev/null
if [[ ${#readers[@]} == 0 ]]; then
  for program in build-fuzz/tests/fuzz/soma_fuzz_*; do readers+=("${program##*soma_fuzz_}"); done
fi

mkdir -p build-fuzz/found
for reader in "${readers[@]}"; do
  corpus=build-fuzz/corpus/$reader
  mkdir -p "$corpus"
  case $reader in  # Something to begin with.
    csv) for file in data/*.csv; do { printf '\1'; head -30 "$file"; } >"$corpus/$(basename "$file")"; done ;;
    image) cp tests/data/images/* "$corpus/" ;;
    network) grep -rhoP '(?<=parse\(")[^"]+' tests/nn/*.cc | split -l 1 - "$corpus/layers-" ;;
    tokenizer) head -c 2000 README.md >"$corpus/readme" ;;
  esac
  printf '== %s\n' "$reader"
  "build-fuzz/tests/fuzz/soma_fuzz_$reader" "$corpus" -max_total_time="$seconds" -timeout=20 \
    -rss_limit_mb=4096 -max_len=8192 -artifact_prefix="build-fuzz/found/$reader-" -print_final_stats=1 \
    -verbosity=0
done
