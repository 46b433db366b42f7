"""refrag bench: every measurement runs end to end and says what it must, on models small enough for seconds."""
import json
import unittest

from support import MODEL, Server, first_packages, refrag, refrag_json, temporary_directory, write_jsonl


class Latency(unittest.TestCase):
    def test_one_run_compares_full_context_cached_and_on_the_spot(self):
        with temporary_directory() as directory:
            report = refrag_json("bench", "latency", "--shape", "tiny", "--contexts", "256", "--repeat", "1", "--k", "8,16",
                                 "--expand", "0,0.25", "--tokens", "4", "--batch", "1,2", "--threads", "1", "--quiet",
                                 "--json-file", directory / "latency.json", "--plot", directory / "latency.svg")
            self.assertEqual(report["dtype"] in ("fp32", "bf16"), True)
            self.assertEqual(refrag_json("bench", "latency", "--shape", "tiny", "--contexts", "256", "--repeat", "1", "--k", "16",
                                         "--expand", "0", "--tokens", "4", "--threads", "1", "--quiet", "--dtype", "int8")["dtype"], "int8")
            self.assertGreater(report["machine"]["gemm_gflops"], 0)
            self.assertGreater(report["machine"]["memory_gbytes"], 0)
            rows = {row["prompt"]: row for row in report["rows"]}
            self.assertEqual(len(rows), 1 + 2 * 2 * 2)
            full, cached, spot = rows["full context"], rows["k=16, cached"], rows["k=16, on the spot"]
            self.assertEqual(full["prompt_positions"] - cached["prompt_positions"], 256 - 256 // 16)
            self.assertLess(cached["prompt_positions"], rows["k=8, cached"]["prompt_positions"])
            self.assertLess(cached["kv_cache_bytes"], full["kv_cache_bytes"])
            self.assertEqual(rows["k=16, cached, 25 % expanded"]["expanded"], 4)
            self.assertEqual((cached["encoded_chunks"], spot["encoded_chunks"]), (0, 256 // 16))
            for state in ("cold", "warm", "steady"):
                self.assertGreater(cached["ttft_ms"][state]["median"], 0)
                self.assertGreater(cached["ttft_ratio"][state]["median"], 0)
            self.assertGreater(cached["ideal_ratio"], spot["ideal_ratio"])
            self.assertEqual([row["batch"] for row in cached["throughput"]], [1, 2])
            self.assertEqual(json.loads((directory / "latency.json").read_text())["rows"][0]["prompt"], "full context")
            self.assertIn("<svg", (directory / "latency.svg").read_text())

    def test_table_says_what_it_includes_and_when_it_is_scaled(self):
        text = refrag("bench", "latency", "--shape", "tiny", "--layers", "2", "--contexts", "256", "--repeat", "1", "--k", "16",
                      "--expand", "0", "--tokens", "2", "--threads", "1", "--quiet").stdout
        self.assertIn("Computed from measured layers", text)
        self.assertIn("TTFT runs from the question's arrival", text)
        self.assertIn("| 256 | k=16, cached |", text)

    def test_wrong_use_is_told_by_its_option(self):
        for arguments, word in ((("--contexts", "300"), "--contexts is 300"), (("--shape", "none"), "tinyllama"),
                                (("--k", "0"), "--k is 0"), (("--layers", "9", "--shape", "tiny"), "--layers is 9"),
                                (("--layers", "2", "--shape", "tiny", "--batch", "2"), "--batch is above 1")):
            done = refrag("bench", "latency", *arguments, expect=3 if "none" in arguments else 2)
            self.assertIn(word, done.stderr)


class IndexAndSearch(unittest.TestCase):
    def test_index_tells_chunks_a_second_and_bytes(self):
        with temporary_directory() as directory:
            write_jsonl(directory / "some.jsonl", first_packages(20))
            report = refrag_json("bench", "index", "--model", MODEL, "--threads", "1", "--quiet", directory / "some.jsonl")
            self.assertEqual(report["documents"], 20)
            self.assertGreater(report["chunks_per_second"]["median"], report["passages_per_second"]["median"])
            self.assertGreaterEqual(report["vector_bytes_per_chunk"], 192 * 2)

    def test_search_tells_recall_and_latency(self):
        report = refrag_json("bench", "search", "--passages", "500", "--width", "32", "--queries", "10", "--quiet")
        self.assertGreater(report["recall"], 0.9)
        self.assertLessEqual(report["dense_ms"]["p50"], report["dense_ms"]["p99"])


class Serve(unittest.TestCase):
    def test_closed_and_open_loops_over_a_running_server(self):
        with temporary_directory() as directory:
            write_jsonl(directory / "some.jsonl", first_packages(5))
            refrag("index", "--model", MODEL, "--kb", directory / "kb", "--threads", "1", directory / "some.jsonl")
            with Server("--model", MODEL, "--kb", directory / "kb", "--threads", "1") as server:
                common = ("bench", "serve", "--url", server.address, "--question", "What is the section of oomd?",
                          "--requests", "4", "--max-tokens", "4", "--quiet")
                loads = refrag_json(*common, "--clients", "1,4")["loads"]
                self.assertEqual([load["clients"] for load in loads], [1, 4])
                for load in loads:
                    self.assertEqual((load["answered"], load["errors"]), (4, {}))
                    self.assertGreater(load["tokens_per_second"], 0)
                    self.assertLessEqual(load["ttft_ms"]["p50"], load["total_ms"]["p99"])
                load = refrag_json(*common, "--rate", "50", "--clients", "2", "--mode", "full")["loads"][0]
                self.assertEqual((load["rate"], load["answered"]), (50, 4))
                wrong = refrag_json(*common, "--clients", "1", "--body", '{"max_tokens": 0}', expect=1)["loads"][0]
                self.assertEqual(wrong["errors"], {"400 invalid_argument": 4})


if __name__ == "__main__":
    unittest.main()
