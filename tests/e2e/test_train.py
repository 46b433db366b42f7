"""`refrag train`: every stage end to end, refusals, Ctrl-C and SIGKILL at random moments."""
import json
import os
import random
import signal
import subprocess
import time
import unittest

from support import BIN, MODEL, PACKAGES, SOURCE, first_packages, refrag, refrag_json, temporary_directory, write_jsonl

KILLS = int(os.environ.get("REFRAG_KILLS", "4"))
DECODER = {"width": 32, "layers": 1, "heads": 2, "ffn_width": 64, "positions": 512}


def config_of(directory, **changes):
    """A config that pretrains a toy for some seconds, in a file."""
    config = {"out": str(directory / "run"), "start": {"tokenizer": str(MODEL / "decoder"), "decoder": DECODER},
              "data": {"text": [str(PACKAGES)], "cache": str(directory / "cache")}, "steps": 60, "batch": {"tokens": 512},
              "optimizer": {"learning_rate": 0.003}, "pretrain": {"context": 128},
              "run": {"threads": 1, "log_every": 1, "checkpoint_every": 5, "dtype": "fp32"}, **changes}
    path = directory / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def losses_of(run):
    """By step, of the whole lines of a log."""
    losses = {}
    for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        losses[row["step"]] = row["loss"]
    return losses


class Stages(unittest.TestCase):
    def test_the_recipe_of_the_default_model_makes_a_bundle_that_answers(self):
        with temporary_directory() as directory:
            script = SOURCE / "scripts" / "train-refrag-tiny.sh"
            done = subprocess.run([script, "--smoke", "--set", "run.threads=1"], capture_output=True, text=True, timeout=300,
                                  env={**os.environ, "OUT": str(directory / "out"), "REFRAG": str(BIN / "refrag")})
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            bundle = directory / "out" / "grpo" / "bundle"
            self.assertEqual(refrag_json("inspect", bundle)["problems"], [])
            spec = json.loads((bundle / "refrag.json").read_text(encoding="utf-8"))
            self.assertEqual([stage["stage"] for stage in spec["training"]["stages"]],
                             ["pretrain", "sft", "reconstruct", "cpt", "sft", "policy", "policy"])
            self.assertIn("<svg", (directory / "out" / "curves.svg").read_text(encoding="utf-8"))

            few = directory / "few.jsonl"
            write_jsonl(few, first_packages(50))
            refrag("index", "--model", bundle, "--kb", directory / "kb", "--quiet", few)
            answer = refrag_json("query", "--model", bundle, "--kb", directory / "kb", "--max-tokens", "4",
                                 "What is the section of oomd?")
            self.assertGreater(answer["usage"]["expanded"], 0)

            again = subprocess.run([script, "--smoke"], capture_output=True, text=True, timeout=60, check=True,
                                   env={**os.environ, "OUT": str(directory / "out"), "REFRAG": str(BIN / "refrag")})
            self.assertEqual(again.stdout.count("done before"), 7)


class Refusals(unittest.TestCase):
    def refusal(self, directory, *arguments, expect=2):
        done = refrag("train", "pretrain", "--config", config_of(directory), *arguments, expect=expect)
        self.assertFalse((directory / "run").exists())
        return done.stderr

    def test_what_is_wrong_is_named_before_anything_is_loaded(self):
        with temporary_directory() as directory:
            self.assertIn("unknown field optimizer.learning_rat;", self.refusal(directory, "--set", "optimizer.learning_rat=1"))
            self.assertIn("batch.tokens is \"many\"", self.refusal(directory, "--set", "batch.tokens=many"))
            self.assertIn("start.bundle", self.refusal(directory, "--set", f"start.bundle={MODEL}"))
            self.assertIn("nowhere.jsonl", self.refusal(directory, "--set", "data.text=[\"nowhere.jsonl\"]", expect=3))

    def test_a_config_that_is_no_json_is_named_with_its_line(self):
        with temporary_directory() as directory:
            (directory / "config.json").write_text('{\n"out": }', encoding="utf-8")
            done = refrag("train", "cpt", "--config", directory / "config.json", expect=2)
            self.assertIn("line 2", done.stderr)


class Stops(unittest.TestCase):
    def setUp(self):
        self.folder = temporary_directory()
        self.directory = self.folder.__enter__()
        self.addCleanup(self.folder.__exit__, None, None, None)

    def start(self, out, *arguments):
        command = [BIN / "refrag", "train", "pretrain", "--config", config_of(self.directory), "--set", f"out={out}", "--quiet", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, out, *arguments):
        """Runs to its end and gives the exit code."""
        process = self.start(out, *arguments)
        process.communicate(timeout=120)
        return process.returncode

    def wait_for_step(self, process, out, step):
        while process.poll() is None and not ((out / "log.jsonl").exists() and max(losses_of(out), default=0) >= step):
            time.sleep(0.01)

    def test_ctrl_c_writes_a_checkpoint_and_resuming_goes_on_from_there(self):
        out = self.directory / "stopped"
        process = self.start(out)
        self.wait_for_step(process, out, 3)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, stderr)
        self.assertIn("--resume", stdout)
        self.assertTrue((out / "checkpoint.safetensors").exists())
        self.assertEqual(self.finish(out), 2)  # would overwrite it
        report = refrag_json("train", "pretrain", "--config", config_of(self.directory), "--set", f"out={out}", "--resume")
        self.assertEqual(report["steps"], 60)

    def test_a_run_that_was_killed_and_resumed_has_the_curve_of_one_that_was_not(self):
        whole, killed = self.directory / "whole", self.directory / "killed"
        self.assertEqual(self.finish(whole), 0)
        draw = random.Random(3)
        for _ in range(KILLS):
            process = self.start(killed, "--resume")
            self.wait_for_step(process, killed, draw.randrange(1, 50))
            time.sleep(draw.random() * 0.05)
            process.kill()
            process.communicate()
        self.assertEqual(self.finish(killed, "--resume"), 0)
        self.assertEqual(losses_of(killed), losses_of(whole))
        self.assertEqual((killed / "bundle/decoder/model.safetensors").read_bytes(), (whole / "bundle/decoder/model.safetensors").read_bytes())


if __name__ == "__main__":
    unittest.main()
