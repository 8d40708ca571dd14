#!/usr/bin/env bash
# Trainings on a table, images, a text and a series are killed (kill -9) at random moments and
# resumed, with one thread or two, until they are done: each must end with the weights and metrics
# of one that was left alone, and no file may be damaged.
#
#   scripts/kill_and_resume.sh [KILLS] [PROGRAM]      50 kills of build/cli/soma
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kills=${1:-50}
soma=$(realpath "${2:-build/cli/soma}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat docs/*.md docs/*/*.md >"$work/book.txt"
cd "$work"

names=(table images text series)
table=(iris --net "24 tanh, batch_norm, dropout 0.2, 3" --epochs 100 --batch 4 --schedule cosine
       --lr 0.01 --best accuracy --validation 0.2)
images=(fashion-mnist --limit 500 --net "conv2d 8 3 relu, max_pool 2, dropout 0.1, 10" --epochs 4
        --augment "flip + crop(2) + mixup" --patience 3 --validation 0.2)
text=(book.txt --limit 20000 --tokenizer "bpe(size=300)" --context 16
      --net "embedding vocabulary 16, lstm 24 returns=all, dense(vocabulary per_step=true)" --epochs 2
      --optimizer "adam() + ema_weights(0.99)")
series=(sunspots --net "24 relu, 12" --epochs 12 --accumulate 2 --plateau 2)

# The last state of a training that is over: its weights, and its metrics without times.
result() {
  grep -o '"weights_sha256":"[0-9a-f]*"' "$1/metrics.jsonl"
  sed -E 's/"(seconds|samples_per_second|model)":[^,}]*,?//g' "$1/metrics.jsonl" | sha256sum
}

failed=0
printf '%-8s %6s %9s %9s  %s\n' data kills finished damaged "as one left alone"
for name in "${names[@]}"; do
  declare -n options=$name
  train=("$soma" train "${options[@]}" --seed 7 --checkpoint-every 7 --keep-best 2 --quiet)
  begin=$(date +%s%N)
  "${train[@]}" --out "$name-whole" >log
  time=$(($(date +%s%N) - begin))
  killed=0 finished=0 damaged=0 equal=yes
  while ((killed < (kills + 3) / ${#names[@]})); do
    out=$name-$finished
    for ((session = 0; ; ++session)); do
      threads=$((1 + RANDOM % 2))
      if [[ -e $out/run.toml ]]; then
        "$soma" train --resume "$out" --threads $threads --quiet >log 2>errors &
      else
        "${train[@]}" --out "$out" --threads $threads >log 2>errors &
      fi
      if ((killed < (kills + 3) / ${#names[@]} && session < 20)); then
        sleep "$(awk "BEGIN { srand($RANDOM$RANDOM); print rand() * 0.7 * $time / 1e9 }")"
        kill -9 $! 2>/dev/null || true
      fi
      code=0
      wait $! 2>/dev/null || code=$?
      damaged=$((damaged + $(grep -c damaged errors || true)))
      ((code == 137)) || break
      killed=$((killed + 1))
    done
    finished=$((finished + 1))
    if ((code != 0)); then
      cat errors
      equal=no
      break
    fi
    [[ $(result "$out") == "$(result "$name-whole")" ]] || equal=no
  done
  [[ $equal == yes && $damaged == 0 ]] || failed=1
  printf '%-8s %6d %9d %9d  %s\n' "$name" $killed $finished $damaged $equal
done
exit $failed
