"""The command line, from documents to answers, with wrong input too."""
import json
import os
import pty
import signal
import subprocess
import threading
import unittest

from support import BIN, DOCUMENTS, MODEL, PACKAGES, SOURCE, first_packages, refrag, refrag_json, temporary_directory, write_jsonl


class DefaultModel(unittest.TestCase):
    """What users get, models/refrag-tiny; the other tests have a bundle of their own."""

    def test_it_is_whole_and_answers_from_compressed_and_full_passages(self):
        model = SOURCE / "models" / "refrag-tiny"
        self.assertEqual(refrag_json("inspect", model)["problems"], [])
        with temporary_directory() as directory:
            few = directory / "few.jsonl"
            write_jsonl(few, first_packages(50))
            refrag("index", "--model", model, "--kb", directory / "kb", "--quiet", few)
            answers = {mode: refrag_json("query", "--model", model, "--kb", directory / "kb", "--mode", mode,
                                         "What is the section of oomd?") for mode in ("none", "full", "refrag")}
            self.assertNotEqual(answers["none"]["answer"], "admin")
            self.assertEqual(answers["full"]["answer"], "admin")
            self.assertEqual(answers["refrag"]["answer"], "admin")
            self.assertGreater(answers["refrag"]["usage"]["expanded"], 0)


class CommandLine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls._directory = cls.enterClassContext(temporary_directory())
        cls.packages = first_packages(200)
        write_jsonl(cls._directory / "packages.jsonl", cls.packages)
        cls.kb = cls._directory / "kb"
        cls.report = refrag_json("index", "--model", MODEL, "--kb", cls.kb, cls._directory / "packages.jsonl")

    def query(self, question, *options, **kwargs):
        return refrag_json("query", "--model", MODEL, "--kb", self.kb, *options, question, **kwargs)

    def test_index_reports_what_went_in(self):
        self.assertEqual((self.report["created"], self.report["errors"]), (200, 0))
        stats = refrag_json("kb", "stats", "--kb", self.kb)
        self.assertEqual(stats["documents"], 200)
        self.assertEqual(stats["chunks"], self.report["chunks"])
        self.assertGreater(stats["bytes"], 0)

    def test_indexing_again_changes_nothing(self):
        again = refrag_json("index", "--model", MODEL, "--kb", self.kb, self._directory / "packages.jsonl")
        self.assertEqual((again["created"], again["unchanged"]), (0, 200))

    def test_full_and_compressed_answers_cite_the_right_package(self):
        for mode in ("full", "refrag"):
            answer = self.query("What is the section of oomd?", "--mode", mode)
            self.assertEqual(answer["answer"], "admin", mode)
            self.assertIn("oomd", [citation["document_id"] for citation in answer["citations"]])

    def test_int8_weights_answer_as_well(self):
        self.assertEqual(self.query("What is the section of oomd?", "--dtype", "int8")["answer"], "admin")
        told = refrag("query", "--model", MODEL, "--kb", self.kb, "--dtype", "int4", "What?", expect=2)
        for word in ("--dtype", "int4", "auto", "fp32", "bf16", "int8"):
            self.assertIn(word, told.stderr)

    def test_compression_shows_in_the_positions(self):
        full = self.query("What is the section of oomd?", "--mode", "full")["usage"]
        compressed = self.query("What is the section of oomd?", "--expand", "0")["usage"]
        self.assertEqual(full["context_tokens"], compressed["context_tokens"])
        self.assertEqual(full["prompt_positions"], full["question_tokens"] + full["context_tokens"])
        self.assertEqual(compressed["prompt_positions"], compressed["question_tokens"] + compressed["chunks"])

    def test_everything_expanded_is_full_context(self):
        full = self.query("What is the version of libtspi1?", "--mode", "full", "--logprobs", "1")
        expanded = self.query("What is the version of libtspi1?", "--expand", "1", "--logprobs", "1")
        self.assertEqual(full["answer"], expanded["answer"])
        self.assertEqual([token["logprob"] for token in full["tokens"]], [token["logprob"] for token in expanded["tokens"]])

    def test_mode_none_reads_no_passages(self):
        answer = self.query("What is the section of oomd?", "--mode", "none")
        self.assertEqual((answer["usage"]["context_tokens"], answer["citations"]), (0, []))

    def test_streamed_events_end_with_the_whole_answer(self):
        lines = refrag("query", "--model", MODEL, "--kb", self.kb, "--json", "--stream", "What is the section of oomd?").stdout
        events = [json.loads(line) for line in lines.splitlines()]
        self.assertEqual((events[0]["event"], events[-1]["event"]), ("retrieval", "done"))
        text = "".join(event["data"]["text"] for event in events if event["event"] == "token")
        self.assertEqual(text, events[-1]["data"]["answer"])

    def test_forced_chunks_are_the_expanded_ones(self):
        answer = self.query("What is the section of oomd?", "--top-k", "2", "--expand-id", "1:0", "--expand-id", "0:2", "--order", "best-first")
        states = [[chunk["state"] for chunk in hit["chunks"]] for hit in answer["retrieval"]["hits"]]
        expanded = {(p, c) for p, chunks in enumerate(states) for c, state in enumerate(chunks) if state == "expanded"}
        self.assertEqual(expanded, {(1, 0), (0, 2)})

    def test_search_filter_and_ranks(self):
        hits = refrag_json("search", "--model", MODEL, "--kb", self.kb, "--top-k", "3", "wayland protocol")["hits"]
        self.assertTrue(hits)
        self.assertEqual(hits[0]["lexical"]["rank"], 1)

    def test_get_and_delete(self):
        kb = self._directory / "small"
        write_jsonl(self._directory / "small.jsonl", self.packages[:3])
        refrag("index", "--model", MODEL, "--kb", kb, self._directory / "small.jsonl")
        stored = refrag_json("kb", "get", "--kb", kb, "oomd")
        self.assertEqual(stored["text"], self.packages[1]["text"])
        self.assertEqual(refrag_json("kb", "delete", "--kb", kb, "oomd")["deleted"], 1)
        refrag("kb", "get", "--kb", kb, "oomd", expect=3)
        self.assertEqual([document["id"] for document in refrag_json("kb", "list", "--kb", kb)["documents"]],
                         sorted(package["id"] for package in self.packages[:3] if package["id"] != "oomd"))

    def test_a_folder_of_mixed_files_goes_in_and_broken_ones_are_named(self):
        report = refrag_json("index", "--model", MODEL, "--kb", self._directory / "mixed", DOCUMENTS, expect=6)
        self.assertGreaterEqual(report["created"], 4)
        self.assertEqual(len(report["problems"]), report["errors"])
        self.assertTrue(all(problem["error"] for problem in report["problems"]))

    def test_dry_run_writes_nothing(self):
        kb = self._directory / "dry"
        report = refrag_json("index", "--dry-run", "--model", MODEL, "--kb", kb, self._directory / "packages.jsonl")
        self.assertEqual((report["created"], report["chunks"]), (200, self.report["chunks"]))
        self.assertFalse(kb.exists())

    def test_standard_input(self):
        lines = "".join(json.dumps(package) + "\n" for package in self.packages[:5])
        self.assertEqual(refrag_json("index", "--model", MODEL, "--kb", self._directory / "piped", "-", stdin=lines)["created"], 5)

    def test_inspect_prints_sizes_and_identities(self):
        report = refrag_json("inspect", MODEL)
        self.assertEqual(report["problems"], [])
        self.assertEqual({part["name"] for part in report["parts"]}, {"decoder", "encoder", "projector", "policy"})
        self.assertEqual(len(report["identities"]["chunks"]), 64)

    def test_wrong_use_is_told_with_the_name_of_the_fault(self):
        for arguments, expected in (
            (("query", "--model", MODEL, "--kb", self.kb, "--expand", "1.5", "q"), "expand.fraction"),
            (("query", "--model", MODEL, "--kb", self.kb, "--expand", "0.1", "--expand-tokens", "4", "q"), "expand"),
            (("query", "--model", MODEL, "--kb", self.kb, "--filter", "section", "q"), "--filter"),
            (("query", "--model", MODEL, "--kb", self.kb, "--temperature", "-1", "q"), "temperature"),
            (("query", "--model", MODEL, "--kb", self.kb, "--retrieve", "dense", "--top-k", "999", "q"), "--top-k"),
            (("query", "--model", MODEL, "--kb", self.kb, ""), "question"),
            (("query", "--model", MODEL), "QUESTION"),
            (("frobnicate",), "frobnicate"),
            (("kb", "frobnicate"), "frobnicate"),
            (("train", "frobnicate"), "frobnicate"),
            (("eval",), "qa"),
        ):
            with self.subTest(arguments=arguments[4:]):
                done = refrag(*arguments, expect=2)
                self.assertIn(expected, done.stderr)

    def test_missing_things_are_named(self):
        done = refrag("query", "--model", MODEL, "--kb", self._directory / "nowhere", "q", expect=3)
        self.assertIn("nowhere", done.stderr)
        self.assertIn("refrag index", done.stderr)
        self.assertIn("no-model", refrag("query", "--model", self._directory / "no-model", "q", expect=3).stderr)
        self.assertIn("gone.txt", refrag("index", "--model", MODEL, "--kb", self.kb, self._directory / "gone.txt", expect=3).stderr)

    def test_index_makes_no_base_for_a_run_that_cannot_be(self):
        kb = self._directory / "unmade"
        packages = self._directory / "packages.jsonl"
        refrag("index", "--model", MODEL, "--kb", kb, self._directory / "gone.txt", expect=3)
        refrag("index", "--model", MODEL, "--kb", kb, "--passage-tokens", "64", "--overlap-tokens", "33", packages, expect=2)
        self.assertFalse(kb.exists())

    def test_numbers_of_threads_are_limited(self):
        self.assertIn("--threads", refrag("search", "--model", MODEL, "--kb", self.kb, "--threads", "3000000000", "q", expect=2).stderr)

    def test_a_named_pipe_is_read_once(self):
        pipe = self._directory / "pipe.jsonl"
        os.mkfifo(pipe)
        writer = threading.Thread(target=write_jsonl, args=(pipe, self.packages[:5]), daemon=True)
        writer.start()
        self.assertEqual(refrag_json("index", "--model", MODEL, "--kb", self._directory / "from-pipe", pipe)["created"], 5)
        writer.join(timeout=60)

    def test_ctrl_c_ends_the_wait_for_more_input(self):
        kb = self._directory / "interrupted"
        with subprocess.Popen([BIN / "refrag", "index", "--model", MODEL, "--kb", kb, "--batch", "1", "--commit-log", "--quiet", "-"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            process.stdin.write(json.dumps(self.packages[0]) + "\n")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), "committed 1\n")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(timeout=60), 130)
            self.assertIn("interrupted", process.stdout.read())
        self.assertEqual(refrag_json("kb", "stats", "--kb", kb)["documents"], 1)

    def test_the_commit_log_tells_of_commits_alone(self):
        kb, command = self._directory / "logged", ("index", "--model", MODEL, "--batch", "2", "--commit-log", "--kb")
        write_jsonl(self._directory / "logged.jsonl", self.packages[:4])
        self.assertNotIn("committed", refrag(*command, kb, "--dry-run", self._directory / "logged.jsonl").stdout)
        first = refrag(*command, kb, "--json", self._directory / "logged.jsonl")
        self.assertEqual(json.loads(first.stdout)["created"], 4)
        self.assertEqual([line for line in first.stderr.splitlines() if line.startswith("committed")], ["committed 2", "committed 4"])
        self.assertNotIn("committed", refrag(*command, kb, self._directory / "logged.jsonl").stdout)

    def test_deleting_an_id_twice_is_deleting_it(self):
        kb = self._directory / "twice"
        write_jsonl(self._directory / "twice.jsonl", self.packages[:2])
        refrag("index", "--model", MODEL, "--kb", kb, self._directory / "twice.jsonl")
        deleted = refrag_json("kb", "delete", "--kb", kb, self.packages[0]["id"], self.packages[0]["id"])
        self.assertEqual(deleted, {"deleted": 1, "not_found": 0})

    def test_an_error_is_told_once_in_json(self):
        arguments = ("query", "--model", MODEL, "--kb", self.kb, "--expand-id", "99:0", "--json", "What is the section of oomd?")
        self.assertEqual(json.loads(refrag(*arguments, expect=2).stdout)["error"]["param"], "expand.ids[0].passage")
        events = [json.loads(line) for line in refrag(*arguments, "--stream", expect=2).stdout.splitlines()]
        self.assertEqual([event["event"] for event in events if "error" in json.dumps(event)], ["error"])
        self.assertEqual(events[-1]["data"]["error"]["param"], "expand.ids[0].passage")

    def test_arguments_that_are_not_utf8_are_told_of_in_json(self):
        done = refrag("query", "--json", "--model", os.fsdecode(b"/tmp/bad\xff"), "q", expect=3)
        self.assertIn("bad\ufffd", json.loads(done.stdout)["error"]["message"])

    def test_ids_and_names_cannot_steer_the_terminal(self):
        write_jsonl(self._directory / "hostile.jsonl", [{"id": "\033[31mred", "text": " "}])
        done = refrag("index", "--model", MODEL, "--kb", self._directory / "hostile", self._directory / "hostile.jsonl", expect=6)
        self.assertIn("?[31mred", done.stderr)
        self.assertNotIn("\033", done.stderr)
        self.assertNotIn("\033", refrag("kb", "get", "--kb", self.kb, "\033[31mred", expect=3).stderr)

    def test_eval_takes_no_rule_without_its_chunks(self):
        self.assertIn("--by", refrag("eval", "qa", "--model", MODEL, "--data", "qa.jsonl", "--by", "ids", expect=2).stderr)

    def test_help_has_examples(self):
        for command in ("index", "query", "search", "inspect", "kb", "eval"):
            self.assertIn("Example", refrag(command, "--help").stdout)

    def test_a_terminal_sees_expanded_chunks_bright_and_compressed_ones_dim(self):
        shown = run_in_terminal("query", "--model", MODEL, "--kb", self.kb, "--top-k", "2", "What is the section of oomd?")
        self.assertIn("\033[2m", shown)
        self.assertIn("\033[1;93m", shown)
        self.assertIn("admin", shown)

    def test_piped_output_is_plain(self):
        done = refrag("query", "--model", MODEL, "--kb", self.kb, "What is the section of oomd?")
        self.assertEqual(done.stdout.splitlines()[0], "admin")
        self.assertNotIn("\033", done.stdout)

    def test_eval_measures_every_mode(self):
        report = refrag_json("eval", "qa", "--model", MODEL, "--data", PACKAGES.parent / "qa-heldout.jsonl", "--passages", "2",
                             "--limit", "12")
        self.assertEqual({row["mode"] for row in report["rows"]}, {"none", "last", "refrag", "full"})
        for row in report["rows"]:
            self.assertEqual(row["questions"], 12)
            self.assertGreater(row["answer_log_perplexity"], 0)


def run_in_terminal(*arguments):
    """What a program prints when its output is a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([BIN / "refrag", *map(str, arguments)], stdout=follower, stderr=follower,
                               env={**os.environ, "TERM": "xterm-256color"})
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(leader)
    process.wait(timeout=120)
    return shown.decode(errors="replace")


if __name__ == "__main__":
    unittest.main()
