#!/usr/bin/env bash
# From a fresh clone to a trained network: installs what is missing, builds, and trains on 60,000
# real images. Takes a few minutes, most of them for the compiler.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n== %s\n' "$*"; }

step "Packages"
scripts/setup.sh g++ cmake ninja-build zlib1g-dev libpng-dev libjpeg-dev nlohmann-json3-dev libcli11-dev libtomlplusplus-dev dataset-fashion-mnist

step "Build"
generator=()
[[ -f build/CMakeCache.txt ]] || generator=(-G Ninja)
cmake -S . -B build "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DSOMA_TESTS=OFF -DSOMA_EXAMPLES=OFF \
  -DSOMA_BENCH=OFF >/dev/null
cmake --build build --parallel "$(nproc)" --target soma_cli
soma=build/cli/soma

step "Train 128 + 10 neurons on 60,000 images"
"$soma" train fashion-mnist --net "128 relu, 10" --epochs 5 --batch 128 --optimizer adam --lr 1e-3 \
  --seed 1 --threads 2 --out run/

if [[ ! -s run/model.soma ]]; then
  echo "The training did not write run/model.soma." >&2
  exit 1
fi
# {"event":"evaluation","data":"fashion-mnist","rows":10000,"accuracy":0.8707,"loss":0.3566}
accuracy=$("$soma" evaluate run/model.soma fashion-mnist --json |
  sed -nE 's/.*"accuracy":([0-9.eE+-]+).*/\1/p')
if ! awk -v a="${accuracy:-0}" 'BEGIN { exit !(a >= 0.87) }'; then
  echo "The test accuracy is ${accuracy:-unknown}; 0.87 or more was expected." >&2
  exit 1
fi

step "Done"
cat <<TEXT
Test accuracy $accuracy. The model is run/model.soma.

Try next:
  $soma inspect run/model.soma                       layers, neurons, links, costs
  $soma inspect run/model.soma --neuron hidden1:7    one neuron
  $soma evaluate run/model.soma fashion-mnist
  $soma train iris --net "8 tanh, 3" --epochs 60     150 flowers, one second
  $soma activations                                  every activation function
  $soma --help
TEXT
