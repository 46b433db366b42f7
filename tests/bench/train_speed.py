#!/usr/bin/env python3
"""Measures `refrag train pretrain` beside the same model and batch in plain PyTorch with SDPA, one after the other, several
times in turn, and prints tokens a second of both (median of the turns).

    train_speed.py [--refrag build/release/bin/refrag] [--threads 1] [--steps 8] [--turns 3] [--fp32]
                   [--width 320 --layers 8 --heads 5 --ffn 896 --tokens 8192 --context 512]

Needs a Python with torch 2.13. Both run AdamW (fused), clipping, and, without --fp32, bf16 autocast. The first two steps of
each run are left out. `by CPU time` says how much work was done a second of processor time: on a machine that others use
too it is the fairer figure with --threads 1.
"""
import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 2  # steps: the allocator and the caches warm up


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--refrag", default=str(SOURCE / "build/release/bin/refrag"))
    for name, value in (("threads", 1), ("steps", 8), ("turns", 3), ("width", 320), ("layers", 8), ("heads", 5), ("ffn", 896),
                        ("tokens", 8192), ("context", 512)):
        parser.add_argument("--" + name, type=int, default=value)
    parser.add_argument("--fp32", action="store_true")
    parser.add_argument("--reference", action="store_true", help=argparse.SUPPRESS)  # the PyTorch half, in a process of its own
    parser.add_argument("--vocab", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def reference(options):
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    torch.manual_seed(1)
    torch.set_num_threads(options.threads)
    head = options.width // options.heads

    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(options.width))

        def forward(self, x):
            return F.rms_norm(x, (options.width,), self.weight, 1e-5)

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = Norm(), Norm()
            self.qkv = nn.Linear(options.width, 3 * options.width, bias=False)
            self.out = nn.Linear(options.width, options.width, bias=False)
            self.gate_up = nn.Linear(options.width, 2 * options.ffn, bias=False)
            self.down = nn.Linear(options.ffn, options.width, bias=False)

        def forward(self, x, cos, sin):
            batch, length, _ = x.shape
            q, k, v = self.qkv(self.norm1(x)).view(batch, length, 3, options.heads, head).permute(2, 0, 3, 1, 4)

            def rotate(y):
                a, b = y.chunk(2, -1)
                return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(v.dtype)

            y = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(batch, length, -1))
            gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
            return x + self.down(F.silu(gate) * up)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(options.vocab, options.width)
            self.layers = nn.ModuleList(Layer() for _ in range(options.layers))
            self.norm = Norm()

        def forward(self, ids):
            angles = torch.outer(torch.arange(ids.shape[1]).float(), 1 / 10000 ** (torch.arange(0, head, 2).float() / head))
            x = self.embedding(ids)
            for layer in self.layers:
                x = layer(x, angles.cos(), angles.sin())
            return F.linear(self.norm(x), self.embedding.weight)

    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    rows = options.tokens // options.context
    times = []
    for step in range(options.steps):
        ids = torch.randint(options.vocab, (rows, options.context))
        started, cpu = time.perf_counter(), time.process_time()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not options.fp32):
            logits = model(ids)[:, :-1]
        loss = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        times.append((time.perf_counter() - started, time.process_time() - cpu))
    kept = times[SKIPPED:]
    tokens = rows * options.context * len(kept)
    print(json.dumps({"tokens_per_second": tokens / sum(t for t, _ in kept), "by_cpu_time": tokens / sum(c for _, c in kept)}))


def make_data(folder, options):
    """Documents of exactly one piece of `context` positions: BOS and context - 1 tokens, one token a number."""
    draw = random.Random(1)
    words = [chr(0x4E00 + n) for n in range(200)]
    with open(folder / "text.jsonl", "w", encoding="utf-8") as out:
        for _ in range(400):
            out.write(json.dumps({"text": "".join(draw.choice(words) for _ in range(3 * options.context))}, ensure_ascii=False) + "\n")


def run_refrag(folder, options, turn):
    out = folder / f"run{turn}"
    config = {
        "out": str(out), "data": {"text": [str(folder / "text.jsonl")], "cache": str(folder / "cache")},
        "start": {"tokenizer": str(SOURCE / "tests/golden/bundles/refrag-tiny/decoder"),
                  "decoder": {"width": options.width, "layers": options.layers, "heads": options.heads, "ffn_width": options.ffn}},
        "steps": options.steps, "batch": {"tokens": options.tokens}, "optimizer": {"learning_rate": 1e-3},
        "pretrain": {"context": options.context},
        "run": {"threads": options.threads, "dtype": "fp32" if options.fp32 else "bf16", "log_every": 1, "checkpoint_every": 1000000}}
    (folder / "config.json").write_text(json.dumps(config))
    subprocess.run([options.refrag, "train", "pretrain", "--config", folder / "config.json", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in open(out / "log.jsonl", encoding="utf-8")]
    kept = lines[SKIPPED:]
    tokens = kept[-1]["tokens"] - lines[SKIPPED - 1]["tokens"]
    return {"tokens_per_second": tokens / sum(line["seconds"] for line in kept), "by_cpu_time": tokens / sum(line["cpu_seconds"] for line in kept)}


def main():
    options = parse()
    if options.reference:
        reference(options)
        return
    vocab = json.loads((SOURCE / "tests/golden/bundles/refrag-tiny/decoder/config.json").read_text())["vocab_size"]
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make_data(folder, options)
        for turn in range(options.turns):
            ours.append(run_refrag(folder, options, turn))
            done = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--reference", "--vocab", str(vocab)], check=True, capture_output=True, text=True)
            theirs.append(json.loads(done.stdout.splitlines()[-1]))
    for field in ("tokens_per_second", "by_cpu_time"):
        mine, other = (statistics.median(run[field] for run in runs) for runs in (ours, theirs))
        print(f"{field}: refrag {mine:.0f}, PyTorch {other:.0f}, ratio {mine / other:.2f}")


if __name__ == "__main__":
    main()
