"""Files that are whole or not there, JSON lines, and splits that stay the same from run to run."""
import contextlib
import hashlib
import json
import os
import sys
import time

SPLITS = ("test", "dev", "train")  # in the order in which duplicates are kept: what is held out is not trained on


class DatasetError(Exception):
    """Names the file or tool, what was found and what was expected."""


def share(*names):
    """A number in [0, 1) that depends on the names alone."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_of(kind, name, dev=0.03, test=0.04):
    """The split of one unit (a source package, a page, a headword) among those of its kind."""
    place = share("split", kind, name)
    return "test" if place < test else "dev" if place < test + dev else "train"


@contextlib.contextmanager
def whole_file(path):
    """A text file that gets its name once it is complete and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with open(part, "w", encoding="utf-8", newline="\n") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def write_lines(path, rows):
    """Rows as JSON lines; the number of them."""
    count = 0
    with whole_file(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise DatasetError(f"{path}:{number}: {error}; expected one JSON object a line") from error


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Progress:
    """One line a step on standard error, with the seconds since the start."""

    def __init__(self, quiet=False):
        self.quiet = quiet
        self.began = time.monotonic()

    def say(self, text):
        if not self.quiet:
            print(f"make-dataset: [{time.monotonic() - self.began:5.0f} s] {text}", file=sys.stderr, flush=True)
