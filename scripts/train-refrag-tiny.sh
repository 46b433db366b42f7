#!/usr/bin/env bash
# Trains a model like models/refrag-tiny from nothing, stage by stage, by the configs in configs/train/refrag-tiny
# (docs/training.md).
#
#   scripts/train-refrag-tiny.sh            needs the data of scripts/make-dataset.sh; about a day on two cores, less
#                                           than an hour on a GPU; runs/refrag-tiny/grpo/bundle comes out. Stopped at
#                                           any moment, the same command goes on from there
#   scripts/train-refrag-tiny.sh --smoke    every stage end to end on a toy, from data/*.jsonl, within minutes
#   scripts/train-refrag-tiny.sh --set KEY=VALUE    more settings, for every stage that trains weights
#
# REFRAG=build/release/bin/refrag names the program; OUT=DIR another place than runs/refrag-tiny.
set -euo pipefail
cd "$(dirname "$0")/.."
configs=configs/train/refrag-tiny
out=${OUT:-runs/refrag-tiny}
refrag=${REFRAG:-build/release/bin/refrag}
smoke=false
settings=()
fail() { printf 'train-refrag-tiny: error: %s\n' "$*" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case "$1" in
    --smoke) smoke=true ;;
    --set) [ $# -ge 2 ] || fail "--set needs KEY=VALUE"; settings+=(--set "$2"); shift ;;
    -h|--help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "unknown option '$1'; expected --smoke, --set or --help" ;;
  esac
  shift
done
# Threads that wait give the processor away: where others use it too, spinning made steps many times slower.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
[ -x "$refrag" ] || fail "$refrag is not there; build it, or set REFRAG"

# The last two lines a stage prints are its own; `runs` in the configs is moved to OUT.
stage() {  # stage NAME CONFIG SETTINGS...
  local name=$1 config=$2 bundle="$out/$2/bundle"
  shift 2
  if [ -e "$bundle/refrag.json" ]; then echo "train-refrag-tiny: $config: done before"; return; fi
  echo "train-refrag-tiny: $config"
  "$refrag" train "$name" --config "$configs/$config.json" --resume --set "out=$out/$config" "$@" "${settings[@]}"
}

tokenizer() {
  if [ -e "$out/tokenizer/tokenizer.model" ]; then return; fi
  echo "train-refrag-tiny: tokenizer"
  "$refrag" train tokenizer --config "$configs/tokenizer.json" --set "out=$out/tokenizer" "$@"
}

if ! $smoke; then
  [ -e .cache/dataset/qa/recombined.jsonl ] || fail "no .cache/dataset/qa/recombined.jsonl; scripts/make-dataset.sh makes it"
  tokenizer
  stage pretrain pretrain --set "start.tokenizer=$out/tokenizer"
  stage sft answers --set "start.bundle=$out/pretrain/bundle"
  stage reconstruct reconstruct --set "start.bundle=$out/answers/bundle"
  stage sft sft --set "start.bundle=$out/reconstruct/bundle"
  stage policy policy --set "start.bundle=$out/sft/bundle"
  stage policy grpo --set "start.bundle=$out/policy/bundle"
  exit 0
fi

# The toy: every stage there is, the same configs with all that makes them long taken out.
out=${OUT:-runs/smoke}
text='data.text=["data/packages-heldout.jsonl"]'
questions='data.questions=["data/qa-heldout.jsonl"]'
documents='data.documents=["data/packages-heldout.jsonl"]'
short=(--set "data.cache=$out/cache" --set run.checkpoint_every=10 --set run.log_every=1 --set batch.tokens=1024)
tokenizer --set "$text" --set vocab_size=600 --set max_sentences=4000
stage pretrain pretrain "${short[@]}" --set "$text" --set "start.tokenizer=$out/tokenizer" --set steps=40 \
  --set 'start.decoder={"width":48,"layers":2,"heads":2,"ffn_width":96,"positions":2048}' --set optimizer.learning_rate=0.005
stage sft answers "${short[@]}" --set "$questions" --set "$documents" --set "start.bundle=$out/pretrain/bundle" --set steps=10
stage reconstruct reconstruct "${short[@]}" --set "$text" --set "start.bundle=$out/answers/bundle" --set steps=20 \
  --set 'start.encoder={"width":48,"layers":1,"heads":8,"slots":true}'
stage cpt cpt "${short[@]}" --set "$text" --set data.join=true --set "start.bundle=$out/reconstruct/bundle" --set steps=10 --set cpt.max_chunks=8
stage sft sft "${short[@]}" --set "$text" --set "$questions" --set "$documents" --set "start.bundle=$out/cpt/bundle" --set steps=20 \
  --set cpt.max_chunks=8 --set batch.accumulate=1
few=(--set policy.questions=4 --set policy.evaluate_every=3 --set policy.evaluation_questions=8)
stage policy policy "${short[@]}" --set "$questions" --set "$documents" --set "start.bundle=$out/sft/bundle" --set steps=3 \
  --set 'start.policy={"heads":2,"ffn_width":64}' --set policy.warm_steps=3 "${few[@]}"
stage policy grpo "${short[@]}" --set "$questions" --set "$documents" --set "start.bundle=$out/policy/bundle" --set steps=4 --set policy.group=4 "${few[@]}"
"$refrag" train plot "$out"/{pretrain,answers,reconstruct,cpt,sft,policy,grpo}/log.jsonl --out "$out/curves.svg"
"$refrag" inspect "$out/grpo/bundle"
