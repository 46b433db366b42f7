"""`scripts/ablations.sh --smoke`: every stage of its variants, the tables and the plot, and what is done is not done again."""
import json
import os
import subprocess
import unittest
import xml.etree.ElementTree

from support import BIN, SOURCE, temporary_directory

SCRIPT = SOURCE / "scripts" / "ablations.sh"


class Ablations(unittest.TestCase):
    def run_script(self, out, *arguments):
        return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL,
                              env={**os.environ, "OUT": str(out), "REFRAG": str(BIN / "refrag")})

    def test_smoke_makes_tables_of_all_runs_and_goes_on_where_it_was(self):
        with temporary_directory() as out:
            done = self.run_script(out, "--smoke", "--jobs", "2")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            tables = json.loads((out / "table.json").read_text(encoding="utf-8"))
            rows = {row["name"]: row for row in tables["ablations"]}
            self.assertEqual(len(rows), 3 + 4)  # and four rules that expand at k = 16
            for row in rows.values():
                self.assertEqual(row["seeds"], [1, 2])
                self.assertEqual(len(set(row["refrag"])), 2, "two seeds gave one figure")
            report = json.loads((out / "k16" / "seed-1" / "lm.json").read_text(encoding="utf-8"))
            by_mode = {row["mode"]: row["log_perplexity"] for row in report["rows"] if row.get("expand", 0) == 0}
            self.assertAlmostEqual(rows["k = 16"]["gap"][0],
                                   (by_mode["none"] - by_mode["refrag"]) / (by_mode["none"] - by_mode["full"]), places=9)
            self.assertIn("| k = 16 | 2 |", done.stdout)
            xml.etree.ElementTree.parse(out / "plot.svg")

            (out / "base" / "seed-2" / "lm.json").unlink()
            again = self.run_script(out, "--smoke")
            self.assertEqual(again.returncode, 0, again.stderr)
            self.assertNotIn("ablations: ", again.stdout)  # no stage ran, the figures came back
            self.assertEqual(json.loads((out / "table.json").read_text(encoding="utf-8")), tables)

    def test_what_is_unknown_is_named(self):
        with temporary_directory() as out:
            self.assertIn("unknown variant 'k64'", self.run_script(out, "--only", "base,k64").stderr)
            self.assertIn("--seeds is 'x'", self.run_script(out, "--seeds", "x").stderr)
            done = self.run_script(out, "--table")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("no run below", done.stderr)


if __name__ == "__main__":
    unittest.main()
