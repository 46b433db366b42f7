#!/usr/bin/env python3
"""Asks each question in the modes none, full and refrag and prints the answers side by side with TTFT and positions."""
import argparse
import json
import subprocess

MODES = ("none", "full", "refrag")


def ask(args, mode, question):
    command = [args.bin, "query", "--json", "--model", args.model, "--kb", args.kb, "--mode", mode, question]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True, help="the program refrag")
    parser.add_argument("--model", required=True)
    parser.add_argument("--kb", required=True)
    parser.add_argument("questions", nargs="+", metavar="QUESTION")
    args = parser.parse_args()
    for question in args.questions:
        print(f"\n{question}")
        print(f"  {'mode':8}{'answer':36}{'positions':>10}{'TTFT ms':>10}  source")
        for mode in MODES:
            answer = ask(args, mode, question)
            source = answer["citations"][0]["passage_id"] if answer["citations"] else "-"
            print(f"  {mode:8}{answer['answer'][:34]:36}{answer['usage']['prompt_positions']:>10}"
                  f"{answer['timings_ms']['ttft']:>10.1f}  {source}")


if __name__ == "__main__":
    main()
