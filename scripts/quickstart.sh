#!/usr/bin/env bash
# From a fresh clone to a trained network: installs what is missing, builds, and trains on 60,000
# real images. Takes a few minutes, most of them for the compiler.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n== %s\n' "$*"; }

step "Packages"
scripts/setup.sh g++ cmake ninja-build zlib1g-dev nlohmann-json3-dev libcli11-dev dataset-fashion-mnist

step "Build"
generator=()
[[ -f build/CMakeCache.txt ]] || generator=(-G Ninja)
cmake -S . -B build "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DSOMA_TESTS=OFF -DSOMA_EXAMPLES=OFF \
  -DSOMA_BENCH=OFF >/dev/null
cmake --build build --parallel "$(nproc)" --target soma_cli
soma=build/cli/soma

step "Train 128 + 10 neurons on 60,000 images"
train=(train fashion-mnist --net "128 relu, 10" --epochs 5 --batch 128 --optimizer adam --lr 1e-3
  --seed 1 --threads 2 --out run/)
echo "soma ${train[*]@Q}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$soma" "${train[@]}" --json >"$log"

# The last line is {"event":"done",…,"test_accuracy":0.88,…,"seconds":9.1,…}.
field() { tail -n 1 "$log" | sed -nE "s/.*\"$1\":([0-9.eE+-]+).*/\1/p"; }
accuracy=$(field test_accuracy)
seconds=$(field seconds)
if [[ -z $accuracy ]] || ! awk -v a="$accuracy" 'BEGIN { exit !(a >= 0.87) }'; then
  echo "The test accuracy is ${accuracy:-unknown}; 0.87 or more was expected." >&2
  exit 1
fi
if [[ ! -s run/model.soma ]]; then
  echo "The training did not write run/model.soma." >&2
  exit 1
fi

step "Done"
cat <<TEXT
Test accuracy $accuracy after $seconds seconds of training. The model is run/model.soma.

Try next:
  $soma inspect run/model.soma                       layers, neurons, links, costs
  $soma inspect run/model.soma --neuron hidden1:7    one neuron
  $soma evaluate run/model.soma fashion-mnist
  $soma train iris --net "8 tanh, 3" --epochs 60     150 flowers, one second
  $soma activations                                  every activation function
  $soma --help
TEXT
