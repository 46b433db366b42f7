"""The installed package from an outside project: examples/embed is configured, built and run against it."""
import shutil
import subprocess
import unittest

from support import BUILD, MODEL, SOURCE, temporary_directory


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=500)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class Embed(unittest.TestCase):
    def test_an_outside_project_finds_builds_and_answers(self):
        with temporary_directory() as directory:
            prefix = directory / "prefix"
            run("cmake", "--install", BUILD, "--prefix", prefix)
            shutil.copytree(SOURCE / "examples" / "embed", directory / "embed")
            run("cmake", "-S", directory / "embed", "-B", directory / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
            run("cmake", "--build", directory / "build")
            output = run(directory / "build" / "embed", MODEL, directory / "kb")
            self.assertIn("dune: created", output)
            self.assertIn("from dune", output)
            self.assertIn("dune: unchanged", run(directory / "build" / "embed", MODEL, directory / "kb"))

    def test_the_library_exports_only_its_public_classes(self):
        symbols = run("nm", "-D", "--defined-only", "-C", BUILD / "lib" / "librefrag.so").splitlines()
        named = [line.split(" ", 2)[2] for line in symbols]
        self.assertTrue(any("refrag::Engine::ask" in name for name in named))
        foreign = [name for name in named if "faiss::" in name or "sqlite3" in name or "nlohmann" in name]
        self.assertEqual(foreign, [])


if __name__ == "__main__":
    unittest.main()
