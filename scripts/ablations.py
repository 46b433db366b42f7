#!/usr/bin/env python3
"""What scripts/ablations.sh needs besides `refrag`: its texts, its tables and its plot. Python's standard library alone."""
import argparse
import json
import os
import pathlib
import random
import statistics
import xml.sax.saxutils

PAGE = pathlib.Path("docs/results.md")
PLOT = pathlib.Path("docs/ablations.svg")
TABLES = ("ablations", "controls")
# What a row is called: the words of docs/results.md.
NAMES = {
    "base": "base: k = 8, encoder of 2 layers",
    "random-start": "encoder from random weights (no `slots`)",
    "no-reconstruction": "no reconstruction first",
    "no-reconstruction-random": "no reconstruction first, no `slots`",
    "no-curriculum": "no curriculum",
    "k16": "k = 16",
    "k32": "k = 32",
    "frozen-decoder": "decoder frozen in reconstruction, as in the paper",
    "encoder-1": "encoder of 1 layer",
    "encoder-3": "encoder of 3 layers",
    "expand-none": "no chunk as tokens in `cpt` (base: a tenth)",
    "expand-more": "three tenths of the chunks as tokens in `cpt`",
}
RULES = {"policy": "policy (GRPO)", "random": "random", "high-perplexity": "high perplexity", "low-perplexity": "low perplexity"}
CONTROLS = ("random-start", "no-reconstruction-random")  # `slots` is ours, not the paper's


def write_atomic(path, text):
    unfinished = path.with_name(path.name + f".{os.getpid()}.tmp")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def long_texts(arguments):
    """Documents that hold a context and a target: most of the corpus are package descriptions of a few lines."""
    kept = []
    for line in open(arguments.corpus, encoding="utf-8"):
        if len(json.loads(line)["text"]) >= arguments.characters:
            kept.append(line)
    write_atomic(pathlib.Path(arguments.into), "".join(kept))


def continuations(arguments):
    """Language modelling in the words of `refrag train policy`: passage: a context, question: the two words behind it,
    answer: what goes on behind them."""
    draw = random.Random(1)
    lines = []
    for line in open(arguments.texts, encoding="utf-8"):
        document = json.loads(line)
        words = document["text"].split(" ")
        begin = draw.randrange(max(1, len(words) - arguments.words - arguments.target))
        end = begin + arguments.words
        context, question, answer = (" ".join(part).strip() for part in (
            words[begin:end], words[end:end + 2], words[end + 2:end + 2 + arguments.target]))
        if context and question and answer:
            lines.append(json.dumps({"question": question, "answers": [answer], "relevant": ["context"],
                                     "passages": [{"id": "context", "title": "", "text": context}]}) + "\n")
    write_atomic(pathlib.Path(arguments.into), "".join(lines))


def last_loss(log):
    """Mean loss of the last tenth of a stage's logged steps, or None where the stage was not."""
    if not log.exists():
        return None
    losses = [json.loads(line)["loss"] for line in log.read_text(encoding="utf-8").splitlines()]
    return statistics.mean(losses[-max(1, len(losses) // 10):])


def figures_of(run):
    """The rows of one run's `refrag eval lm`, by the name that the table gives them, with what training says."""
    report = json.loads((run / "lm.json").read_text(encoding="utf-8"))
    of_mode = {row["mode"]: row["log_perplexity"] for row in report["rows"] if row["mode"] != "refrag"}
    rows = {}
    for row in report["rows"]:
        if row["mode"] != "refrag":
            continue
        expanded = row["expand"] > 0
        rows[f"{row['by']}" if expanded else ""] = {
            **of_mode,
            "refrag": row["log_perplexity"],
            "gap": (of_mode["none"] - row["log_perplexity"]) / (of_mode["none"] - of_mode["full"]),
            "reconstruction": None if expanded else last_loss(run / "reconstruct" / "log.jsonl"),
            "positions": row["context_positions"],
        }
    return rows


def collect(out):
    """{variant: {row: {seed: figures}}}, of the runs that are done."""
    found = {}
    for run in sorted(out.glob("*/seed-*")):
        if not (run / "lm.json").exists():
            continue
        for row, figures in figures_of(run).items():
            found.setdefault(run.parent.name, {}).setdefault(row, {})[int(run.name.removeprefix("seed-"))] = figures
    return found


def spread(values, digits=3):
    if not values:
        return ""
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def label(variant, row):
    name = NAMES.get(variant, variant)
    return f"{name}, 1 of 16 chunks as tokens: {RULES[row]}" if row else name


def rows_of(found, wanted):
    """(name, figures by seed) of each row, base first, then in the order of NAMES."""
    for variant in [name for name in NAMES if name in found and name in wanted]:
        for row in sorted(found[variant], key=["", *RULES].index):
            yield label(variant, row), found[variant][row]


def summary(found, wanted):
    base = found.get("base", {}).get("", {})
    result = []
    for name, seeds in rows_of(found, wanted):
        columns = {"name": name, "seeds": sorted(seeds)}
        for key in ("none", "last", "refrag", "full", "gap", "reconstruction", "positions"):
            columns[key] = [seeds[seed][key] for seed in sorted(seeds) if seeds[seed][key] is not None]
        # Seed by seed: what all variants of a seed have in common does not count.
        for key in ("refrag", "gap"):
            columns[f"{key}_beside_base"] = [seeds[seed][key] - base[seed][key] for seed in sorted(seeds) if seed in base]
        result.append(columns)
    return result


def table(rows):
    lines = ["| | seeds | none | last | refrag | full | gap recovered | refrag beside base | gap beside base | reconstruction |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        is_base = row["name"] == NAMES["base"]
        cells = [row["name"], str(len(row["seeds"])), *(f"{statistics.mean(row[key]):.3f}" for key in ("none", "last")),
                 spread(row["refrag"]), f"{statistics.mean(row['full']):.3f}", spread(row["gap"], 2),
                 "" if is_base else spread(row["refrag_beside_base"]), "" if is_base else spread(row["gap_beside_base"], 2),
                 spread(row["reconstruction"], 2)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def plot(rows):
    """Bars of the gap recovered with the least and the most of the seeds, as SVG."""
    left, right, step, top = 400, 340, 30, 46
    most = max(max(row["gap"]) for row in rows)
    least = min(0, min(min(row["gap"]) for row in rows))
    scale = right / ((most - least) or 1)
    height = top + step * len(rows) + 16
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right + 80}" height="{height}" '
             'font-family="sans-serif" font-size="13">', f'<rect width="100%" height="{height}" fill="white"/>',
             '<text x="16" y="24" font-size="15">Gap recovered, (none − refrag)/(none − full): mean, least and most of the seeds</text>']
    place = lambda value: left + (value - least) * scale  # noqa: E731
    for number, row in enumerate(rows):
        y = top + step * number
        mean = statistics.mean(row["gap"])
        begin, end = sorted((place(0), place(mean)))
        name = xml.sax.saxutils.escape(row["name"].replace("`", ""))
        parts.append(f'<text x="{left - 10}" y="{y + 17}" text-anchor="end">{name}</text>')
        parts.append(f'<rect x="{begin:.1f}" y="{y + 4}" width="{end - begin:.1f}" height="18" fill="#5b8db8"/>')
        low, high = place(min(row["gap"])), place(max(row["gap"]))
        parts.append(f'<path d="M{low:.1f} {y + 13}H{high:.1f}M{low:.1f} {y + 8}v10M{high:.1f} {y + 8}v10" stroke="#222" fill="none"/>')
        parts.append(f'<text x="{max(high, end) + 8:.1f}" y="{y + 17}">{mean:.2f}</text>')
    parts.append(f'<path d="M{place(0):.1f} {top}V{height - 10}" stroke="#222"/>')
    return "\n".join(parts) + "\n</svg>\n"


def make_tables(arguments):
    out = pathlib.Path(arguments.out)
    found = collect(out)
    if not found:
        raise SystemExit(f"ablations: error: no run below {out} is done")
    rows = {"ablations": summary(found, [name for name in NAMES if name not in CONTROLS]),
            "controls": summary(found, ["base", "no-reconstruction", *CONTROLS])}
    texts = {name: table(rows[name]) for name in TABLES}
    write_atomic(out / "table.json", json.dumps(rows, indent=1) + "\n")
    write_atomic(out / "table.md", "\n".join(f"{name}\n\n{texts[name]}" for name in TABLES))
    picture = plot(summary(found, list(NAMES)))
    write_atomic(out / "plot.svg", picture)
    if arguments.write:
        page = PAGE.read_text(encoding="utf-8")
        for name in TABLES:
            begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
            before, rest = page.split(begin)
            page = before + begin + texts[name] + end + rest.split(end)[1]
        write_atomic(PAGE, page)
        write_atomic(PLOT, picture)
    if not arguments.quiet:
        print((out / "table.md").read_text(encoding="utf-8"), end="")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    texts = commands.add_parser("texts", help="the long documents of a corpus")
    texts.add_argument("--corpus", required=True)
    texts.add_argument("--into", required=True)
    texts.add_argument("--characters", type=int, default=1500, help="at least so many")
    texts.set_defaults(run=long_texts)
    questions = commands.add_parser("continuations", help="texts as questions, for the stage policy")
    questions.add_argument("--texts", required=True)
    questions.add_argument("--into", required=True)
    questions.add_argument("--words", type=int, default=128, help="of a context")
    questions.add_argument("--target", type=int, default=48, help="words behind it")
    questions.set_defaults(run=continuations)
    tables = commands.add_parser("tables", help="tables and plot of the runs that are done")
    tables.add_argument("--out", required=True)
    tables.add_argument("--write", action="store_true", help=f"put them into {PAGE} and {PLOT} too")
    tables.add_argument("--quiet", action="store_true")
    tables.set_defaults(run=make_tables)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
