"""`refrag eval`: the tables of the paper on the bundle that comes with us, with wrong input too."""
import json
import shutil
import signal
import subprocess
import unittest
import xml.etree.ElementTree

from support import BIN, MODEL, PACKAGES, first_packages, refrag, refrag_json, temporary_directory, write_jsonl

QUESTIONS = PACKAGES.parent / "qa-heldout.jsonl"
FP32 = ("--model", MODEL, "--dtype", "fp32", "--threads", "1")  # a small model: threads would wait for each other


def label(row):
    return row["mode"] if row["mode"] != "refrag" else f"{row['mode']} {row['expand']:g} {row['by']}"


def texts_of(picture):
    return {element.text for element in xml.etree.ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")}


class Eval(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls._directory = cls.enterClassContext(temporary_directory())
        packages = first_packages(12)
        cls.texts = cls._directory / "texts.jsonl"
        write_jsonl(cls.texts, [{"text": package["text"] * 3} for package in packages] + [{"text": "short"}])

    def lm(self, *options, **kwargs):
        return refrag_json("eval", "lm", *FP32, "--data", self.texts, "--context", "64", "--target", "16", *options, **kwargs)

    def qa(self, *options, **kwargs):
        return refrag_json("eval", "qa", *FP32, "--data", QUESTIONS, "--limit", "6", *options, **kwargs)

    def test_lm_has_every_row_over_the_same_tokens(self):
        report = self.lm("--all-rows", "--limit", "4", "--plot", self._directory / "lm.svg")
        rows = {label(row): row for row in report["rows"]}
        self.assertEqual(len(rows), 3 + 2 + 4 * 6)
        self.assertEqual((report["documents"], report["windows"], report["target_tokens"]), (4, 4, 4 * 16))
        self.assertEqual((rows["none"]["context_positions"], rows["last"]["context_positions"], rows["full"]["context_positions"]), (0, 8, 64))
        self.assertEqual(rows["refrag 0 policy"]["context_positions"], 8)
        self.assertEqual(rows["refrag 0.25 high-perplexity"]["context_positions"], 6 + 2 * 8)
        self.assertLessEqual({"none", "full", "policy", "low-perplexity"}, texts_of(self._directory / "lm.svg"))

    def test_lm_with_everything_expanded_is_full_context(self):
        rows = {label(row): row for row in self.lm("--expand", "0,1", "--limit", "3")["rows"]}
        self.assertAlmostEqual(rows["refrag 1 policy"]["log_perplexity"], rows["full"]["log_perplexity"], delta=1e-4)
        self.assertNotAlmostEqual(rows["refrag 0 policy"]["log_perplexity"], rows["full"]["log_perplexity"], delta=1e-4)

    def test_lm_counts_documents_that_are_too_short(self):
        shown = refrag("eval", "lm", *FP32, "--data", self.texts, "--context", "64", "--target", "16", "--modes", "full", "--limit", "0").stdout
        self.assertIn("12 windows of 12 documents, 1 documents left out, too short", shown)

    def test_qa_rows_for_each_number_of_passages_and_retriever(self):
        report = self.qa("--passages", "1,4", "--drop-relevant", "1", "--modes", "none,full", "--resamples", "20",
                         "--plot", self._directory / "qa.svg")
        keys = [(row["passages"], row["drop_relevant"], row["mode"]) for row in report["rows"]]
        self.assertEqual(keys, [(n, drop, mode) for n in (1, 4) for drop in (0, 1) for mode in ("none", "full")])
        full = {(row["passages"], row["drop_relevant"]): row["answer_log_perplexity"] for row in report["rows"] if row["mode"] == "full"}
        self.assertLess(full[4, 0], full[4, 1])  # without the right passage the answer is a surprise
        none = {row["answer_log_perplexity"] for row in report["rows"] if row["mode"] == "none"}
        self.assertEqual(len(none), 1)
        self.assertLessEqual({"none", "full", "Questions: F1, retriever weak (100 % dropped)"}, texts_of(self._directory / "qa.svg"))

    def test_qa_figures_have_intervals_and_gaps(self):
        report = self.qa("--by", "policy,high-perplexity,low-perplexity", "--expand", "0,0.25")
        self.assertEqual({row["mode"] for row in report["rows"]}, {"none", "last", "refrag", "full"})
        for row in report["rows"]:
            for figure in ("exact_match", "f1", "answer_log_perplexity"):
                low, high = row[figure + "_interval"]
                self.assertLessEqual(low, row[figure], (label(row), figure))
                self.assertLessEqual(row[figure], high, (label(row), figure))
            self.assertLessEqual(row["exact_match"], row["f1"])
        rows = {label(row): row for row in report["rows"]}
        none, full, compressed = (rows[name]["answer_log_perplexity"] for name in ("none", "full", "refrag 0 policy"))
        self.assertAlmostEqual(rows["refrag 0 policy"]["log_perplexity_gap_recovered"], (none - compressed) / (none - full))
        self.assertAlmostEqual(rows["full"]["log_perplexity_gap_recovered"], 1)
        self.assertEqual(rows["last"]["prompt_positions"], rows["refrag 0 policy"]["prompt_positions"])

    def test_questions_may_bring_their_passages(self):
        data = self._directory / "own.jsonl"
        passages = [{"id": package["id"], "text": package["text"]} for package in first_packages(3)]
        write_jsonl(data, [{"question": "What is the section of oomd?", "answers": ["admin"], "passages": passages, "relevant": ["oomd"]}])
        report = refrag_json("eval", "qa", *FP32, "--data", data, "--modes", "full")
        self.assertEqual((report["rows"][0]["passages"], report["rows"][0]["exact_match"], report["rows"][0]["f1"]), (3, 1, 1))

    def test_a_bundle_without_a_policy_loses_the_rows_that_need_it(self):
        bundle = self._directory / "no-policy"
        shutil.copytree(MODEL, bundle, ignore=shutil.ignore_patterns("policy.safetensors"))
        spec = json.loads((bundle / "refrag.json").read_text())
        spec.pop("policy", None)
        (bundle / "refrag.json").write_text(json.dumps(spec))
        arguments = ("eval", "lm", "--model", bundle, "--threads", "1", "--data", self.texts, "--context", "32", "--target", "8", "--limit", "2")
        done = refrag(*arguments, "--json")
        report = json.loads(done.stdout)
        self.assertNotIn("policy", {row["by"] for row in report["rows"] if row.get("expand") in (0.1, 0.25)})
        self.assertEqual(len(report["rows_left_out"]), 2)
        self.assertIn("no expansion policy", report["rows_left_out"][0]["reason"])
        self.assertIn("row left out: refrag, 10 % expanded by policy", done.stderr)
        self.assertIn("no expansion policy", refrag(*arguments, "--by", "policy", expect=2).stderr)

    def test_a_plain_decoder_has_the_rows_without_compression(self):
        report = refrag_json("eval", "lm", "--model", MODEL / "decoder", "--threads", "1", "--data", self.texts, "--context", "32", "--target", "8", "--limit", "2")
        self.assertEqual([row["mode"] for row in report["rows"]], ["none", "full"])
        self.assertIn("no chunk encoder", report["rows_left_out"][0]["reason"])

    def test_wrong_input_is_told_by_name(self):
        def file_of(name, line):
            path = self._directory / name
            path.write_text('{"text": "fine", "question": "q", "answer": "a", "passages": [{"id": "p", "text": "t"}]}\n' + line + "\n")
            return path
        lm = ("eval", "lm", "--model", MODEL, "--data")
        qa = ("eval", "qa", "--model", MODEL, "--data")
        for arguments, expected, code in (
            ((*lm, file_of("a.jsonl", '{"title": "x"}')), ("a.jsonl:2", "text"), 4),
            ((*lm, file_of("b.jsonl", "{")), ("b.jsonl:2",), 4),
            ((*lm, self._directory / "gone.jsonl"), ("gone.jsonl",), 3),
            ((*lm, self.texts, "--context", "5000"), ("--context", "4096"), 2),
            ((*lm, self.texts, "--context", "0"), ("--context",), 2),
            ((*lm, self.texts, "--context", "2000"), ("none of 13 documents", "the longest has"), 2),
            ((*lm, self.texts, "--modes", "ids"), ("--modes",), 2),
            ((*lm, self.texts, "--expand", "1.5"), ("--expand",), 2),
            ((*lm, self.texts, "--all-rows", "--by", "first"), ("--all-rows",), 2),
            ((*lm, self.texts, "--plot", self._directory / "no" / "plot.svg"), ("--plot",), 3),
            ((*qa, file_of("c.jsonl", '{"question": "q", "answers": [], "passages": []}')), ("c.jsonl:2", "answers"), 4),
            ((*qa, file_of("d.jsonl", '{"question": "q", "answer": "a", "passages": [{"id": "p"}]}')), ("d.jsonl:2", "passages[0].text"), 4),
            ((*qa, file_of("e.jsonl", '{"question": "q", "answer": "a", "passages": [{"id": "p", "text": "t"}]}'), "--drop-relevant", "0.5"),
             ("e.jsonl:1", "relevant"), 4),
            ((*qa, QUESTIONS, "--drop-relevant", "2"), ("--drop-relevant",), 2),
            ((*qa, QUESTIONS, "--passages", "0"), ("--passages",), 2),
        ):
            shown = refrag(*arguments, expect=code).stderr
            for part in expected:
                self.assertIn(part, shown, arguments)

    def test_ctrl_c_prints_the_table_so_far(self):
        process = subprocess.Popen([BIN / "refrag", "eval", "qa", *map(str, FP32), "--data", QUESTIONS, "--modes", "none,full"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            self.assertIn("eval qa", process.stderr.readline())  # the first question is done
            process.send_signal(signal.SIGINT)
            shown, told = process.communicate(timeout=60)
        finally:
            process.kill()
        self.assertEqual(process.returncode, 130, told)
        self.assertIn("interrupted", told)
        self.assertIn("| full | ", shown)
