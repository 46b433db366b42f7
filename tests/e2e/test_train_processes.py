"""`refrag train` by several processes: the losses of one, and all of them end together."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import unittest

from support import BIN, MODEL, PACKAGES, first_packages, temporary_directory, write_jsonl

STEPS = 20
# Root, any number of processes on any number of cores, containers that forbid to read another process's memory, and other
# tests at the same time.
MPI = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
       "OMPI_MCA_hwloc_base_binding_policy": "none", "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
       "OMPI_MCA_mpi_yield_when_idle": "1", "OMP_WAIT_POLICY": "passive"}
SMALL = {"width": 32, "layers": 1, "heads": 2, "ffn_width": 64}


def environment():
    sanitizer = os.environ.get("ASAN_OPTIONS", "")
    return {**os.environ, **MPI, "ASAN_OPTIONS": sanitizer + ":detect_leaks=0"}  # MPI leaves memory behind


def rows_of(run):
    rows = []
    for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            pass  # being written
    return rows


def losses_of(run):
    return [row["loss"] for row in rows_of(run) if "loss" in row]


def refusal_of_mpirun():
    """Why processes cannot be started together here, or nothing."""
    if shutil.which("mpirun") is None:
        return "mpirun is not installed (scripts/setup.sh --dev installs Debian's openmpi-bin)"
    done = subprocess.run(["mpirun", "-n", "2", BIN / "refrag", "train", "pretrain", "--config", "nowhere.json"],
                          capture_output=True, text=True, env=environment(), timeout=120)
    return "refrag was built without MPI (-D REFRAG_MPI=ON)" if "built without MPI" in done.stderr else ""


def is_running(pid):
    """Whether it is more than a process that nobody has waited for yet."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Processes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if refusal := refusal_of_mpirun():
            raise unittest.SkipTest(refusal)

    def setUp(self):
        folder = temporary_directory()
        self.directory = folder.__enter__()
        self.addCleanup(folder.__exit__, None, None, None)

    def config(self, **changes):
        """Of a toy that pretrains for some seconds, in a file."""
        config = {"start": {"name": "toy", "tokenizer": str(MODEL / "decoder"), "decoder": {**SMALL, "positions": 512}},
                  "data": {"text": [str(PACKAGES)], "cache": str(self.directory / "cache")}, "steps": STEPS,
                  "batch": {"tokens": 384, "accumulate": 2}, "optimizer": {"learning_rate": 0.003},
                  "run": {"threads": 1, "log_every": 1, "checkpoint_every": 5, "dtype": "fp32", "device": "cpu"}, **changes}
        path = self.directory / f"config-{len(list(self.directory.iterdir()))}.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    def start(self, stage, config, out, processes, *arguments, script="exec \"$@\""):
        """Each process runs `script` with the command line as its arguments."""
        launcher = ["mpirun", "-n", str(processes)] if processes > 1 else []
        command = [*launcher, "sh", "-c", script, "sh", BIN / "refrag", "train", stage, "--config", config,
                   "--set", f"out={out}", "--quiet", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
        self.addCleanup(lambda: process.poll() is None and process.terminate())
        return process

    def run_stage(self, stage, config, out, processes, *arguments, expect=0, **options):
        process = self.start(stage, config, out, processes, *arguments, **options)
        stdout, stderr = process.communicate(timeout=240)
        self.assertEqual(process.returncode, expect, stdout + stderr)
        return stdout, stderr

    def assert_close(self, one, other, relative=1e-5, absolute=0.0):
        self.assertEqual(len(one), len(other))
        for step, (a, b) in enumerate(zip(one, other), 1):
            self.assertLessEqual(abs(a - b), absolute + relative * abs(a), f"step {step}: {a} and {b}")


class Losses(Processes):
    def test_two_processes_have_the_losses_of_one_at_the_same_global_batch(self):
        one, two = self.directory / "one", self.directory / "two"
        config = self.config()
        self.run_stage("pretrain", config, one, 1)
        stdout, _ = self.run_stage("pretrain", config, two, 2, "--json")
        self.assertEqual(json.loads(stdout)["steps"], STEPS)  # of one of them: it alone prints
        self.assertEqual(len(losses_of(one)), STEPS)
        self.assert_close(losses_of(one), losses_of(two))
        for a, b in zip(rows_of(one), rows_of(two)):
            self.assertEqual([a[key] for key in ("tokens", "examples", "targets")],
                             [b[key] for key in ("tokens", "examples", "targets")])
            self.assertEqual((a["processes"], b["processes"]), (1, 2))

    def test_so_they_have_in_every_stage(self):
        documents, questions = self.directory / "documents.jsonl", self.directory / "questions.jsonl"
        packages = first_packages(30)
        write_jsonl(documents, packages)
        write_jsonl(questions, [{"question": f"Which package is number {n}?", "answer": package["title"],
                                 "document": package["id"]} for n, package in enumerate(packages)])
        text = {"text": [str(documents)], "cache": str(self.directory / "cache")}
        asked = {"questions": [str(questions)], "documents": [str(documents)], "cache": str(self.directory / "cache")}

        def compare(stage, data, start, out=None, absolute=0.0, **changes):
            """One process, then two; gives both logs."""
            runs = [self.directory / f"{out or stage}-{processes}" for processes in (1, 2)]
            config = self.config(data=data, start=start, steps=3, **changes)
            for processes, run in enumerate(runs, 1):
                self.run_stage(stage, config, run, processes)
            logs = [rows_of(run) for run in runs]
            self.assertEqual(len(logs[0]), len(logs[1]))
            self.assert_close(*map(losses_of, runs), absolute=absolute)
            self.assert_close(*([row["gradient_norm"] for row in log if "loss" in row] for log in logs), relative=1e-3)
            return logs

        bundle = {"bundle": str(self.directory / "pretrain" / "bundle")}
        self.run_stage("pretrain", self.config(steps=2), self.directory / "pretrain", 1)
        compare("reconstruct", text, {**bundle, "encoder": SMALL, "chunk_size": 8}, reconstruct={"max_chunks": 2})
        bundle = {"bundle": str(self.directory / "reconstruct-1" / "bundle")}
        # Half of the contexts are whole, so that some shares have nothing for the encoder.
        compare("cpt", text, bundle, cpt={"max_chunks": 4, "target": 8, "full": 0.5})
        compare("sft", asked, bundle, sft={"passages": 2, "questions": 2})
        compare("sft", {**asked, **text}, bundle, out="text", sft={"passages": 2, "text": 0.4, "reconstruct": 0.3},
                cpt={"max_chunks": 4, "target": 8})
        compare("sft", asked, bundle, out="lora", sft={"passages": 2, "expand": [0, 1]}, lora={"rank": 4})
        # Three questions: one process has two of them. The loss of GRPO is about 0, a sum of advantages of about 1, which
        # are differences of almost equal rewards.
        logs = compare("policy", asked, {**bundle, "policy": {"heads": 2, "ffn_width": 32}}, absolute=1e-4, batch={"tokens": 384},
                       policy={"questions": 3, "group": 3, "passages": 2, "warm_steps": 1, "deviation": "step", "evaluate_every": 3,
                               "evaluation_questions": 3})
        for a, b in zip(*logs):
            for key in ("reward", "reward_deviation"):
                self.assertAlmostEqual(a.get(key, 0), b.get(key, 0), 4)
            for rule, reward in a.get("evaluation", {}).items():
                self.assertAlmostEqual(reward, b["evaluation"][rule], 4, rule)
        compare("retriever", asked, {**bundle, "retriever": {**SMALL, "positions": 128}}, batch={}, retriever={"pairs": 5})


class Ends(Processes):
    note_pids = f"echo $$ > \"$PIDS.$OMPI_COMM_WORLD_RANK\"; exec \"$@\""

    def start_and_wait(self, out, step):
        """Two processes that have done so many steps, and the process ids of both."""
        pids = self.directory / "pid"
        process = self.start("pretrain", self.config(steps=2000), out, 2, script=self.note_pids.replace("$PIDS", str(pids)))
        end = time.monotonic() + 120
        while not ((out / "log.jsonl").exists() and len(losses_of(out)) >= step):
            self.assertIsNone(process.poll(), "ended before it was told to")
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        return process, [int((self.directory / f"pid.{rank}").read_text()) for rank in (0, 1)]

    def assert_gone(self, pids):
        end = time.monotonic() + 20
        while any(is_running(pid) for pid in pids):
            self.assertLess(time.monotonic(), end, "a process is left over")
            time.sleep(0.05)

    def test_a_signal_to_one_stops_all_with_a_checkpoint_and_one_process_goes_on(self):
        one, two = self.directory / "one", self.directory / "two"
        process, pids = self.start_and_wait(two, 7)
        os.kill(pids[1], signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, stdout + stderr)
        self.assertEqual(stdout.count("--resume"), 1)
        self.assert_gone(pids)
        done = len(losses_of(two))
        self.assertTrue((two / "checkpoint.safetensors").exists())

        # The same config ends the two runs at the same step: a signal to the run of one stops it later.
        config = self.config(steps=2000)
        for out, arguments in ((two, ["--resume"]), (one, [])):
            process = self.start("pretrain", config, out, 1, *arguments)
            while process.poll() is None and not ((out / "log.jsonl").exists() and len(losses_of(out)) >= done + 5):
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            self.assertEqual((process.communicate(timeout=60), process.returncode)[1], 130)
        both = [losses_of(out)[:done + 5] for out in (one, two)]
        self.assert_close(*(losses[:20] for losses in both))
        self.assert_close(*both, relative=1e-2)  # rounding grows from step to step

    def test_one_that_is_killed_takes_the_other_along_and_two_go_on(self):
        out = self.directory / "out"
        process, pids = self.start_and_wait(out, 7)
        os.kill(pids[1], signal.SIGKILL)
        process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        self.assert_gone(pids)
        process = self.start("pretrain", self.config(steps=2000), out, 2, "--resume")
        self.addCleanup(lambda: process.poll() is None and process.kill())
        steps = lambda: [row["step"] for row in rows_of(out)]
        before = max(steps())
        end = time.monotonic() + 60
        while max(steps()) < before + 3 and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)  # as Ctrl-C in the terminal of mpirun
        process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        self.assertEqual(steps(), list(range(1, max(steps()) + 1)))
        self.assertGreater(max(steps()), before + 2)

    def test_an_error_of_one_ends_all_with_its_message(self):
        script = "if [ $OMPI_COMM_WORLD_RANK = 1 ]; then export REFRAG_FAIL_POINT=train.step; fi; exec \"$@\""
        _, stderr = self.run_stage("pretrain", self.config(), self.directory / "out", 2, expect=1, script=script)
        self.assertIn("process 2 of 2 on ", stderr)
        self.assertIn("fail point train.step was reached", stderr)

    def test_an_error_that_all_have_is_told_once(self):
        _, stderr = self.run_stage("pretrain", self.config(), self.directory / "out", 2, "--set", "optimizer.rate=1", expect=2)
        self.assertEqual(stderr.count("unknown field optimizer.rate"), 1)


if __name__ == "__main__":
    unittest.main()
