"""Runs one prompt through refrag and its peers and prints a table; scripts/bench-peers.sh installs what it needs.

Every measurement is a process of its own: `bench_peers.py PEER FILE` prints {"ttft_ms", "ttit_ms"} for the job in FILE.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
REFRAG = ROOT / "build" / "release" / "bin" / "refrag"
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- bench-peers: begin -->", "<!-- bench-peers: end -->"
TOKENS = 64


def prompt_ids(job):
    """Random tokens, the same for every peer."""
    import random
    draw = random.Random(1)
    return [1] + [draw.randrange(300, job["decoder"]["vocab_size"]) for _ in range(job["positions"] - 1)]


# ---------------------------------------------------------------- llama.cpp

def random_matrix(rows, columns):
    import numpy
    bound = (3.0 / columns) ** 0.5
    return numpy.random.default_rng(rows * 31 + columns).uniform(-bound, bound, (rows, columns)).astype(numpy.float32)


def write_gguf(path, shape, kind, context_length):
    """A LLaMA of this shape with random weights; layers share theirs, which changes no speed: each is stored anew."""
    import gguf
    import numpy
    kinds = {"f32": gguf.GGMLQuantizationType.F32, "f16": gguf.GGMLQuantizationType.F16,
             "bf16": gguf.GGMLQuantizationType.BF16, "q8_0": gguf.GGMLQuantizationType.Q8_0}
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(context_length)
    writer.add_embedding_length(shape["width"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["ffn_width"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_rope_dimension_count(shape["head_dim"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(shape["vocab_size"])
    tokens = [b"<unk>", b"<s>", b"</s>"] + [f"<0x{byte:02X}>".encode() for byte in range(256)]
    tokens += [f"w{n}".encode() for n in range(shape["vocab_size"] - len(tokens))]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * (len(tokens) - 259))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    made = {}

    def add(name, rows, columns):
        if (rows, columns) not in made:
            made[rows, columns] = gguf.quants.quantize(random_matrix(rows, columns), kinds[kind])
        writer.add_tensor(name, made[rows, columns], raw_dtype=kinds[kind])

    def add_norm(name):
        writer.add_tensor(name, numpy.ones(shape["width"], dtype=numpy.float32))

    query, key = shape["heads"] * shape["head_dim"], shape["kv_heads"] * shape["head_dim"]
    add("token_embd.weight", shape["vocab_size"], shape["width"])
    add("output.weight", shape["vocab_size"], shape["width"])
    add_norm("output_norm.weight")
    for layer in range(shape["layers"]):
        prefix = f"blk.{layer}."
        add_norm(prefix + "attn_norm.weight")
        add_norm(prefix + "ffn_norm.weight")
        add(prefix + "attn_q.weight", query, shape["width"])
        add(prefix + "attn_k.weight", key, shape["width"])
        add(prefix + "attn_v.weight", key, shape["width"])
        add(prefix + "attn_output.weight", shape["width"], query)
        add(prefix + "ffn_gate.weight", shape["ffn_width"], shape["width"])
        add(prefix + "ffn_up.weight", shape["ffn_width"], shape["width"])
        add(prefix + "ffn_down.weight", shape["width"], shape["ffn_width"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def run_llama_cpp(job):
    import xllamacpp
    params = xllamacpp.CommonParams()
    params.model.path = job["gguf"]
    params.n_ctx = job["positions"] + TOKENS + 64
    params.n_batch = 2048
    params.n_parallel = 1
    params.cpuparams.n_threads = job["threads"]
    params.cpuparams_batch.n_threads = job["threads"]
    server = xllamacpp.Server(params)
    request = {"prompt": prompt_ids(job), "n_predict": TOKENS, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
    server.handle_completions({**request, "prompt": request["prompt"][:64], "n_predict": 2})  # weights into memory
    answer = server.handle_completions(request)
    answer = json.loads(answer) if isinstance(answer, str) else answer
    timings = answer["timings"]
    if timings["prompt_n"] != job["positions"] or timings["predicted_n"] != TOKENS:
        sys.exit(f"llama.cpp read {timings['prompt_n']} tokens and wrote {timings['predicted_n']}")
    return {"ttft_ms": timings["prompt_ms"], "ttit_ms": timings["predicted_ms"] / TOKENS}


# ---------------------------------------------------------------- transformers

def run_transformers(job):
    import torch
    import transformers
    torch.set_num_threads(job["threads"])
    torch.set_grad_enabled(False)
    shape = job["decoder"]
    config = transformers.LlamaConfig(
        vocab_size=shape["vocab_size"], hidden_size=shape["width"], intermediate_size=shape["ffn_width"],
        num_hidden_layers=shape["layers"], num_attention_heads=shape["heads"], num_key_value_heads=shape["kv_heads"],
        head_dim=shape["head_dim"], max_position_embeddings=job["positions"] + TOKENS, eos_token_id=None)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[job["dtype"]]
    torch.set_default_dtype(dtype)
    model = transformers.LlamaForCausalLM._from_config(config, attn_implementation="sdpa").eval()
    ids = torch.tensor([prompt_ids(job)])
    model(ids[:, :64], use_cache=True, logits_to_keep=1)
    start = time.perf_counter()
    output = model(ids, use_cache=True, logits_to_keep=1)
    token = output.logits[:, -1].argmax(-1, keepdim=True)
    first = time.perf_counter()
    for _ in range(TOKENS - 1):
        output = model(token, past_key_values=output.past_key_values, use_cache=True)
        token = output.logits[:, -1].argmax(-1, keepdim=True)
    end = time.perf_counter()
    return {"ttft_ms": 1000 * (first - start), "ttit_ms": 1000 * (end - first) / (TOKENS - 1)}


# ---------------------------------------------------------------- the comparison

def run_refrag(arguments, dtype):
    command = [REFRAG, "bench", "latency", "--shape", arguments.shape, "--contexts", arguments.context, "--k", arguments.k,
               "--expand", "0", "--repeat", "1", "--tokens", TOKENS, "--threads", arguments.threads, "--dtype", dtype,
               "--json", "--quiet"]
    return json.loads(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)


def run_peer(name, job):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(job, file)
        file.flush()
        done = subprocess.run([sys.executable, __file__, name, file.name], capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": str(job["threads"])})
    if done.returncode != 0:
        sys.exit(f"bench-peers: error: {name} failed:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def spread(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def measure(arguments):
    first = run_refrag(arguments, "auto")
    dtypes = [first["dtype"]] + [dtype for dtype in ["fp32"] if dtype != first["dtype"]]
    full = first["rows"][0]
    job = {"decoder": first["decoder"], "positions": full["prompt_positions"], "threads": first["threads"]}
    results = {}

    def note(program, ttft, ttit):
        times = results.setdefault(program, {"ttft": [], "ttit": []})
        times["ttft"].append(ttft)
        times["ttit"].append(ttit)
        print(f"bench-peers: {program}: TTFT {ttft:.1f} ms, TTIT {ttit:.1f} ms", file=sys.stderr)  # rounds take minutes

    with tempfile.TemporaryDirectory() as directory:
        files = {kind: os.path.join(directory, kind + ".gguf") for kind in arguments.formats.split(",")}
        for kind, file in files.items():
            print(f"bench-peers: writing {kind} weights", file=sys.stderr)
            write_gguf(file, job["decoder"], kind, job["positions"] + 4096)
        for number in range(arguments.rounds):
            print(f"bench-peers: round {number + 1} of {arguments.rounds}", file=sys.stderr)
            for dtype in [*dtypes, "int8"]:
                for row in run_refrag(arguments, dtype)["rows"]:
                    note(f"refrag, {row['prompt']}, {dtype}", row["ttft_ms"]["steady"]["median"], row["ttit_ms"]["median"])
            for kind, file in files.items():
                times = run_peer("llama_cpp", {**job, "gguf": file})
                note(f"llama.cpp, full context, {kind}", times["ttft_ms"], times["ttit_ms"])
            for dtype in dtypes:
                times = run_peer("transformers", {**job, "dtype": dtype})
                note(f"transformers, full context, {dtype}", times["ttft_ms"], times["ttit_ms"])
    return first, job, results


def table(arguments, first, job, results):
    best = min((times for name, times in results.items() if name.startswith("llama.cpp")),
               key=lambda times: statistics.median(times["ttft"]))["ttft"]
    lines = [f"`scripts/bench-peers.sh --shape {arguments.shape} --context {arguments.context} --k {arguments.k} "
             f"--threads {first['threads']} --rounds {arguments.rounds} --formats {arguments.formats}`: "
             f"{first['processor']}, {first['threads']} threads, {first['decoder']['layers']} layers of width "
             f"{first['decoder']['width']}, random weights, a prompt of {job['positions']} tokens in full; median (least to "
             f"most) of {arguments.rounds} rounds.", "",
             "| program | TTFT ms | TTIT ms | decoded tokens/s | TTFT against llama.cpp's best |",
             "| --- | --- | --- | --- | --- |"]
    for name, times in results.items():
        per_second = 1000 / statistics.median(times["ttit"])
        lines.append(f"| {name} | {spread(times['ttft'])} | {spread(times['ttit'])} | {per_second:.1f} | "
                     f"{statistics.median(best) / statistics.median(times['ttft']):.2f} times as fast |")
    return "\n".join(lines) + "\n"


def write_page(text):
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + text + END + rest.split(END)[1], encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="tinyllama", help="as refrag bench latency has it")
    parser.add_argument("--context", type=int, default=2048, help="tokens, a multiple of 256")
    parser.add_argument("--k", default="16,32")
    parser.add_argument("--threads", type=int, default=0, help="0: one a physical core")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", default="f16,bf16,q8_0", help="weights of llama.cpp: f32, f16, bf16, q8_0")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    arguments = parser.parse_args()
    text = table(arguments, *measure(arguments))
    print(text)
    if arguments.write:
        write_page(text)


PEERS = {"llama_cpp": run_llama_cpp, "transformers": run_transformers}

if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] in PEERS:
        print(json.dumps(PEERS[sys.argv[1]](json.loads(pathlib.Path(sys.argv[2]).read_text(encoding="utf-8")))))
    else:
        main()
