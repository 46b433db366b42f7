"""SIGKILL at random moments while `refrag index` runs: what was reported as committed is there, whole, and nothing else.

REFRAG_KILLS sets how many (default 8; the full campaign is scripts/test-long.sh kills).
"""
import json
import os
import random
import signal
import subprocess
import time
import unittest

from support import BIN, MODEL, first_packages, refrag_json, temporary_directory, write_jsonl

KILLS = int(os.environ.get("REFRAG_KILLS", "8"))
BATCH = 16
COUNT = 2000


def stored_ids(kb):
    ids, after = [], ""
    while True:
        page = refrag_json("kb", "list", "--kb", kb, "--limit", "5000", *(["--after", after] if after else []))
        ids += [document["id"] for document in page["documents"]]
        after = page["next"]
        if not after:
            return ids


class Kills(unittest.TestCase):
    def test_a_killed_index_holds_exactly_the_committed_batches_and_goes_on(self):
        packages = first_packages(COUNT)
        order = [package["id"] for package in packages]
        draw = random.Random(1)
        with temporary_directory() as directory:
            write_jsonl(directory / "packages.jsonl", packages)
            kb, reported, kills = directory / "kb", 0, 0
            command = [BIN / "refrag", "index", "--model", MODEL, "--kb", kb, "--batch", str(BATCH), "--commit-log", "--quiet",
                       directory / "packages.jsonl"]
            while kills < KILLS:
                before = reported  # "committed N" counts from the start of a run
                process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                # Kill after a random number of commits and a random moment more: anywhere in the life of a batch.
                commits = draw.randrange(0, 6)
                for line in process.stdout:
                    if line.startswith("committed "):
                        reported = before + int(line.split()[1])
                        commits -= 1
                    if commits <= 0:
                        break
                time.sleep(draw.random() * 0.1)
                process.send_signal(signal.SIGKILL)
                for line in process.stdout:  # reported before the kill, read after it
                    if line.startswith("committed ") and line.endswith("\n"):
                        reported = before + int(line.split()[1])
                process.stdout.close()
                if process.wait() == 0:  # it had ended before the kill: begin a fresh one
                    self.assertEqual(sorted(stored_ids(kb)), sorted(order))
                    kb = directory / f"kb-{kills}"
                    command[command.index("--kb") + 1] = kb
                    reported = 0
                    continue
                kills += 1
                if not (kb / "meta.db").exists():
                    self.assertEqual(reported, 0)
                    continue
                ids = stored_ids(kb)
                # Whole batches in order; the one that was committed but not yet reported may be there too.
                self.assertIn(len(ids), (reported, min(reported + BATCH, COUNT)))
                self.assertEqual(sorted(ids), sorted(order[:len(ids)]))
                reported = len(ids)
                for package in packages[max(0, len(ids) - 2):len(ids)]:
                    stored = refrag_json("kb", "get", "--kb", kb, package["id"])
                    self.assertEqual(stored["text"], package["text"])
            refrag_json("index", "--model", MODEL, "--kb", kb, directory / "packages.jsonl")
            self.assertEqual(sorted(stored_ids(kb)), sorted(order))
            hits = refrag_json("search", "--model", MODEL, "--kb", kb, order[-1])["hits"]
            self.assertEqual(hits[0]["document_id"], order[-1])
            print(json.dumps({"kills": kills}))


if __name__ == "__main__":
    unittest.main()
