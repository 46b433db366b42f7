"""The scripts: help, wrong options, and what they say of themselves."""
import subprocess
import unittest

from support import SOURCE


class Scripts(unittest.TestCase):
    def test_every_shell_script_has_help_and_parses(self):
        for script in sorted((SOURCE / "scripts").glob("*.sh")):
            with self.subTest(script=script.name):
                subprocess.run(["bash", "-n", script], check=True)
                done = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=30, check=True)
                self.assertIn(script.name, done.stdout)

    def test_a_wrong_option_is_named(self):
        for script in ("setup.sh", "quickstart.sh"):
            done = subprocess.run([SOURCE / "scripts" / script, "--frobnicate"], capture_output=True, text=True, timeout=30)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("--frobnicate", done.stderr)

    def test_setup_names_a_libtorch_that_is_none(self):
        done = subprocess.run([SOURCE / "scripts" / "setup.sh"], capture_output=True, text=True, timeout=300,
                              env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "REFRAG_TORCH_DIR": "/nowhere"})
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/nowhere", done.stderr)


if __name__ == "__main__":
    unittest.main()
