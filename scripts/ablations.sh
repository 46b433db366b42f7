#!/usr/bin/env bash
# The ablations of docs/results.md: what the stages before, the curriculum, k, the encoder and its start are worth, with
# a model of 3 M parameters, three seeds each (configs/train/ablations, docs/training.md).
#
#   scripts/ablations.sh                  all variants; needs the data of scripts/make-dataset.sh. Stopped at any moment,
#                                         the same command goes on from there; what is done is not done again
#   scripts/ablations.sh --jobs 2         so many runs at once, one thread each (default 1)
#   scripts/ablations.sh --seeds 1,2      (default 1,2,3)
#   scripts/ablations.sh --only base,k16  these variants
#   scripts/ablations.sh --table          no runs: tables and plot of what is done
#   scripts/ablations.sh --write          the tables and the plot into docs/results.md too
#   scripts/ablations.sh --smoke          some variants and two seeds on a toy, within a minute
#
# One decoder is pretrained for all, as the paper's runs begin with one LLaMA. A run is `reconstruct`, `cpt` and `refrag
# eval lm`; the seed decides its first weights and the order of its data. Tables are in OUT/table.md and table.json.
#
# REFRAG=build/release/bin/refrag names the program; OUT=DIR another place than runs/ablations.
set -euo pipefail
cd "$(dirname "$0")/.."
configs=configs/train/ablations
out=${OUT:-runs/ablations}
refrag=${REFRAG:-build/release/bin/refrag}
corpus=.cache/dataset/corpus
# The first ones tell most.
variants=base,random-start,no-reconstruction,no-curriculum,k16,k32,frozen-decoder,encoder-1,encoder-3,no-reconstruction-random
variants+=,expand-none,expand-more
jobs=1 seeds=1,2,3 only="" smoke=false tables=false write=() one=()
fail() { printf 'ablations: error: %s\n' "$*" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case "$1" in
    --jobs|--seeds|--only) [ $# -ge 2 ] || fail "$1 needs a value"; printf -v "${1#--}" %s "$2"; shift ;;
    --table) tables=true ;;
    --write) write=(--write) ;;
    --smoke) smoke=true ;;
    --one) one=("$2" "$3"); shift 2 ;;  # variant and seed: this script's own call
    -h|--help) sed -n '2,19s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "unknown option '$1'; see --help" ;;
  esac
  shift
done
[[ $jobs =~ ^[1-9][0-9]*$ ]] || fail "--jobs is '$jobs'; expected a number from 1"
[[ $seeds =~ ^[0-9]+(,[0-9]+)*$ ]] || fail "--seeds is '$seeds'; expected numbers such as 1,2,3"
for name in ${only//,/ }; do [[ ,$variants, == *",$name,"* ]] || fail "unknown variant '$name'; expected some of $variants"; done
[ -x "$refrag" ] || fail "$refrag is not there; build it, or set REFRAG"
# One thread a run; threads that wait give the processor away.
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive

text="$out/texts.jsonl" held_out=$corpus/dev.jsonl
measured=(--context 256 --target 128 --limit 400) width=192 words=()
toy() { :; }  # toy STAGE: settings of the smoke test
if $smoke; then
  out=${OUT:-runs/ablations-smoke}
  variants=base,no-reconstruction,k16 seeds=1,2
  text=data/packages-heldout.jsonl held_out=$text
  measured=(--context 32 --target 16 --limit 6) width=96 words=(--words 8 --target 4)
  toy() {
    printf '%s\n' --set batch.tokens=512 --set run.log_every=1
    case "$1" in
      pretrain) printf '%s\n' --set "data.text=[\"$text\"]" --set start.tokenizer=models/refrag-tiny/decoder --set steps=4 \
        --set 'start.decoder={"width":96,"layers":1,"heads":2,"ffn_width":96,"positions":512}' ;;
      reconstruct) printf '%s\n' --set steps=3 ;;
      cpt) printf '%s\n' --set steps=3 --set data.join=true --set cpt.target=16 ;;
      policy) printf '%s\n' --set steps=2 --set policy.questions=2 --set policy.group=2 --set policy.evaluate_every=2 \
        --set policy.evaluation_questions=4 ;;
    esac
  }
fi

stage() {  # stage NAME DIRECTORY SETTINGS...
  local name=$1 directory=$2 small
  shift 2
  if [ -e "$directory/bundle/refrag.json" ]; then return; fi
  echo "ablations: $directory"
  mapfile -t small < <(toy "$name")
  "$refrag" train "$name" --config "$configs/$name.json" --resume --quiet --set run.threads=1 \
    --set "data.cache=$out/cache" --set "out=$directory" "$@" "${small[@]}"
}

prepare() {
  mkdir -p "$out"
  if ! $smoke; then
    [ -e $corpus/train.jsonl ] || fail "no $corpus/train.jsonl; scripts/make-dataset.sh makes it"
    [ -e "$text" ] || python3 scripts/ablations.py texts --corpus $corpus/train.jsonl --into "$text"
  fi
  local questions="$out/continuations.jsonl"
  [ -e "$questions" ] || python3 scripts/ablations.py continuations --texts "$text" --into "$questions" "${words[@]}"
  if $smoke; then stage pretrain "$out/pretrain"; return; fi
  if [ ! -e "$out/tokenizer/tokenizer.model" ]; then
    echo "ablations: $out/tokenizer"
    "$refrag" train tokenizer --config $configs/tokenizer.json --set "out=$out/tokenizer" --quiet
  fi
  stage pretrain "$out/pretrain" --set "start.tokenizer=$out/tokenizer"
}

# Every variant is base, but for what its name says.
run() {  # run VARIANT SEED
  local directory="$out/$1/seed-$2" last=cpt chunk=8 layers=2 slots=true reconstructs=true rows=(--expand 0 --by first)
  local common=(--set "run.seed=$2" --set "data.text=[\"$text\"]") reconstruct=() cpt=()
  if [ -e "$directory/lm.json" ]; then return; fi
  case "$1" in
    base) ;;
    random-start) slots=false ;;
    no-reconstruction) reconstructs=false ;;
    no-reconstruction-random) reconstructs=false slots=false ;;
    no-curriculum)
      reconstruct+=(--set 'reconstruct={"curriculum":false,"max_chunks":4}')
      cpt+=(--set 'cpt={"curriculum":false,"max_chunks":32,"target":128,"expand":0.1,"full":0.1,"none":0.05}') ;;
    k16) chunk=16 last=policy rows=(--expand 0,0.0667 --by policy,random,high-perplexity,low-perplexity) ;;  # 1 of 16: rate 8
    k32) chunk=32 ;;
    frozen-decoder) reconstruct+=(--set 'train=["encoder","projector"]') ;;
    expand-none) cpt+=(--set cpt.expand=0) ;;
    expand-more) cpt+=(--set cpt.expand=0.3) ;;
    encoder-1) layers=1 ;;
    encoder-3) layers=3 ;;
  esac
  local encoder="{\"width\":$width,\"layers\":$layers,\"heads\":$chunk,\"ffn_width\":384,\"slots\":$slots}"
  local start=(--set "start.bundle=$out/pretrain/bundle" --set "start.encoder=$encoder" --set start.chunk_size=$chunk)
  if ! $slots; then start+=(--set "start.projector_width=$((2 * width))"); fi  # as with slots
  if [ $chunk != 8 ]; then  # as many tokens a context
    reconstruct+=(--set reconstruct.max_chunks=$((32 / chunk)))
    cpt+=(--set cpt.max_chunks=$((256 / chunk)))
  fi
  mkdir -p "$directory"
  if $reconstructs; then
    stage reconstruct "$directory/reconstruct" "${common[@]}" "${start[@]}" "${reconstruct[@]}"
    start=(--set "start.bundle=$directory/reconstruct/bundle")
  fi
  stage cpt "$directory/cpt" "${common[@]}" "${start[@]}" "${cpt[@]}"
  if [ $last = policy ]; then
    stage policy "$directory/policy" --set "run.seed=$2" --set "start.bundle=$directory/cpt/bundle" \
      --set "data.questions=[\"$out/continuations.jsonl\"]"
  fi
  "$refrag" eval lm --model "$directory/$last/bundle" --data "$held_out" "${measured[@]}" "${rows[@]}" \
    --modes none,last,refrag,full --threads 1 --resamples 0 --quiet --json >"$directory/lm.json.tmp"
  mv "$directory/lm.json.tmp" "$directory/lm.json"
  rm -f "$directory"/*/checkpoint.safetensors  # nothing goes on from there any more
  python3 scripts/ablations.py tables --out "$out" --quiet
}

if [ ${#one[@]} -gt 0 ]; then
  run "${one[@]}"
  exit
fi
if ! $tables; then
  prepare
  mode=()
  if $smoke; then mode=(--smoke); fi
  for variant in ${variants//,/ }; do
    [[ -z $only || ,$only, == *",$variant,"* ]] || continue
    for seed in ${seeds//,/ }; do echo "$variant $seed"; done
  done | OUT=$out xargs -P "$jobs" -L 1 "$0" "${mode[@]}" --one || { echo "ablations: error: a run failed; see above" >&2; exit 1; }
fi
python3 scripts/ablations.py tables --out "$out" "${write[@]}"
