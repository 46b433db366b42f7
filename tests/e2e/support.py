"""What the end-to-end tests share: the programs, the sample data, a running server."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

SOURCE = pathlib.Path(os.environ["REFRAG_SOURCE_DIR"])
BIN = pathlib.Path(os.environ["REFRAG_BIN_DIR"])
BUILD = pathlib.Path(os.environ["REFRAG_BUILD_DIR"])
MODEL = SOURCE / "tests" / "golden" / "bundles" / "refrag-tiny"
PACKAGES = SOURCE / "data" / "packages-heldout.jsonl"
DOCUMENTS = SOURCE / "tests" / "data" / "documents"

# Whoever runs the tests in the background of a shell has SIGINT ignored, and our programs would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def refrag(*arguments, stdin=None, expect=0, environment=None):
    """Runs the command line; checks the exit code; gives what it printed."""
    done = subprocess.run([BIN / "refrag", *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          env={**os.environ, **(environment or {})}, timeout=300)
    if done.returncode != expect:
        raise AssertionError(f"refrag {' '.join(map(str, arguments))}: exit code {done.returncode}, expected {expect}\n"
                             f"{done.stdout}\n{done.stderr}")
    return done


def refrag_json(*arguments, **options):
    return json.loads(refrag(*arguments, "--json", **options).stdout)


def first_packages(count):
    with open(PACKAGES, encoding="utf-8") as lines:
        return [json.loads(next(lines)) for _ in range(count)]


def write_jsonl(path, documents):
    path.write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")


@contextlib.contextmanager
def temporary_directory():
    with tempfile.TemporaryDirectory() as directory:
        yield pathlib.Path(directory)


class Server:
    """refrag-server on a free port, ended with the block."""

    def __init__(self, *arguments, environment=None):
        self._process = subprocess.Popen(
            [BIN / "refrag-server", "--port", "0", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env={**os.environ, **(environment or {})})
        for line in self._process.stdout:
            if line.startswith("listening on "):
                self.address = line.split()[-1].strip()
                return
        raise AssertionError(f"refrag-server ended with {self._process.wait()} before it listened")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.terminate()

    def terminate(self):
        if self._process.poll() is None:
            self._process.terminate()
        self._process.stdout.close()
        return self._process.wait(timeout=60)

    def request(self, method, path, body=None, headers=None):
        """Status and parsed JSON (text where it is none)."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data=data, method=method,
                                         headers={"Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, parsed(response.read())
        except urllib.error.HTTPError as error:
            return error.code, parsed(error.read())

    def events(self, path, body):
        """The server-sent events of a streamed answer: (event, data) pairs."""
        request = urllib.request.Request(self.address + path, data=json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as response:
            name = None
            for line in response:
                line = line.decode().rstrip("\n").rstrip("\r")
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    yield name, line[6:]


def parsed(body):
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()
