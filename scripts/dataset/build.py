#!/usr/bin/env python3
"""Builds the data set; see scripts/make-dataset.sh --help and docs/data.md."""
import argparse
import hashlib
import json
import re
import sys
from pathlib import Path

import corpus
import dictionaries
import packages as debian_packages
import questions
from debian import Apt, deb_members, newest, require_tools, stanzas
from output import SPLITS, DatasetError, Progress, digest_of, read_lines, share, whole_file, write_lines
from sources import SOURCES, documents_of

FORMAT = 1  # of what is written; in the manifest
ROOT = Path(__file__).resolve().parents[2]


def code_digest():
    """Of these scripts: a part that other code made is made anew."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


class Index:
    """The package index: versions and what depends on what."""

    def __init__(self, packages_file):
        self.fields = newest(stanzas(packages_file, frozenset(("Package", "Version", "Depends"))))

    def resolve(self, source):
        """(package, version); a package without files of its own stands for the one it depends on."""
        name = source.package
        if name not in self.fields:
            raise DatasetError(f"the package index has no {name}; expected it, as Debian 12 has it")
        if source.via:
            first = re.split(r"[ ,|(]", self.fields[name].get("Depends", ""))[0]
            if first not in self.fields:
                raise DatasetError(f"{name} depends on '{first}', which the package index does not have")
            name = first
        return name, self.fields[name]["Version"]


class Build:
    def __init__(self, options, progress):
        self.options, self.progress = options, progress
        self.out = options.out
        self.code = code_digest()
        self.apt = Apt(options.cache, options.offline)
        self.versions = {}  # of the packages that texts come from
        self.lines = {}  # of every file that was written; None for text

    def run(self):
        require_tools(self.options.offline)
        self.progress.say("package index")
        index_file, translation_file = self.apt.index_files()
        self.index_files = {"Packages": digest_of(index_file), "Translation-en": digest_of(translation_file)}
        index = Index(index_file)
        wanted = [source for source in SOURCES if source.small or not self.options.small]
        debs = self.fetch(index, wanted)
        parts = [self.part(source, deb) for source, deb in debs]
        packages = self.read_packages(index_file)
        self.write_corpus(parts, packages, translation_file)
        self.write_records(packages)
        self.write_package_questions(packages)
        self.write_word_questions(dict((source.package, deb) for source, deb in debs)["wordnet-base"])
        self.write_licences(debs)
        self.write_manifest()

    def fetch(self, index, wanted):
        debs = []
        for number, source in enumerate(wanted, 1):
            name, version = index.resolve(source)
            self.progress.say(f"package {number}/{len(wanted)}: {name} {version}")
            self.versions[source.name] = (name, version)
            debs.append((source, self.apt.fetch(name, version)))
        return debs

    def part(self, source, deb):
        """The documents of one source as a file in the cache, made once for this code and package."""
        stamp = hashlib.sha256(f"{self.code} {deb.name} {deb.stat().st_size}".encode()).hexdigest()[:16]
        path = self.options.cache / "parts" / f"{source.name}-{stamp}.jsonl"
        if not path.exists():
            for old in path.parent.glob(f"{source.name}-*.jsonl"):
                if re.fullmatch(re.escape(source.name) + r"-[0-9a-f]{16}\.jsonl", old.name):
                    old.unlink()
            count = write_lines(path, documents_of(source, deb))
            self.progress.say(f"{source.name}: {count} documents")
        return path

    def read_packages(self, index_file):
        held_out = {row["id"] for row in read_lines(self.options.held_out)}
        packages = debian_packages.assign_splits(debian_packages.read_packages(index_file), held_out)
        packages = [package for package in packages if debian_packages.usable(package)]
        if self.options.small:
            packages = [package for package in packages if share("small", package.source) < 0.08]
        self.progress.say(f"{len(packages)} package records")
        return packages

    def write(self, name, rows):
        count = write_lines(self.out / name, rows)
        self.lines[name] = count
        self.progress.say(f"{name}: {count} lines")

    def write_text(self, name, text):
        with whole_file(self.out / name) as file:
            file.write(text)
        self.lines[name] = None

    def write_corpus(self, parts, packages, translation_file):
        descriptions = debian_packages.read_descriptions(translation_file)
        rows = []
        for part in parts:
            documents = list(read_lines(part))
            if self.options.small:
                documents = [row for row in documents if share("small", row["id"]) < 0.1]
            rows += documents
        rows += debian_packages.description_documents(packages, descriptions)
        kept = {split: [] for split in SPLITS}
        for row in corpus.without_duplicates(rows):
            kept[row.pop("split")].append(row)
        for split in SPLITS:
            # Shuffled once and for all, so that any beginning of a file is a fair sample of it.
            kept[split].sort(key=lambda row: (share("order", row["id"]), row["id"]))
            self.write(f"corpus/{split}.jsonl", kept[split])
        self.by_source = {}
        for split in SPLITS:
            for row in kept[split]:
                found = self.by_source.setdefault(row["source"], {}).setdefault(split, [0, 0])
                found[0] += 1
                found[1] += len(row["text"])

    def write_records(self, packages):
        self.records = {}
        for split in SPLITS:
            chosen = [package for package in packages if package.split == split]
            self.records[split] = (chosen, [debian_packages.record(package) for package in chosen])
            self.write(f"packages/{split}.jsonl", self.records[split][1])

    def write_package_questions(self, packages):
        seen, unseen = list(range(5)), [5]
        small = self.options.small
        for split in SPLITS:
            asker = questions.PackageQuestions(*self.records[split], split)
            if split == "train":
                self.write("qa/train.jsonl", asker.lines(2, 8, seen, "train", limit=2000 if small else None))
                self.write("qa/refusal-train.jsonl", asker.lines(1, 8, seen, "refusal", limit=200 if small else 8000, relevant=False))
                made = debian_packages.recombined(self.records[split][0], 300 if small else 6000,
                                                  {package.name for package in packages})
                asker = questions.PackageQuestions(made, [debian_packages.record(package) for package in made], "recombined")
                self.write("qa/recombined.jsonl", asker.lines(1, 8, seen, "recombined"))
                continue
            limit = 200 if small else 3000
            self.write(f"qa/{split}.jsonl", asker.lines(1, 8, seen, split, limit))
            self.write(f"qa/refusal-{split}.jsonl", asker.lines(1, 8, seen, "refusal", limit // 4, relevant=False))
            if split == "test":
                self.write("qa/test-16.jsonl", asker.lines(1, 16, seen, split, limit // 2))
                self.write("qa/test-phrasing.jsonl", asker.lines(1, 8, unseen, split, limit // 2))

    def write_word_questions(self, deb):
        source = next(source for source in SOURCES if source.package == "wordnet-base")
        senses = list(dictionaries.wordnet_senses(deb_members(deb, source.files)))
        found = questions.word_records(senses)
        for split, limit in (("test", 1500), ("dev", 1000), ("train", 20000)):
            records = [item for item in found if questions.word_split(item[0]) == split]
            if self.options.small:
                limit //= 20
                records = records[:: 4 if split == "train" else 1]
            self.write(f"qa/words-{split}.jsonl", questions.WordQuestions(records, split).lines(8, split, limit))

    def write_licences(self, debs):
        rows = "".join(f"| {source.what} | {self.versions[source.name][0]} | {self.versions[source.name][1]} | {source.licence} |\n"
                       for source in SOURCES if source.name in self.versions)
        for source, deb in debs:
            name = self.versions[source.name][0]
            found = deb_members(deb, rf"usr/share/doc/{re.escape(name)}/copyright(?:\.gz)?$")
            if found:
                self.write_text(f"licences/{name}.txt", found[0][1].decode("utf-8", errors="replace"))
        self.write_text(
            "LICENCES.md",
            "# Licences of the data\n\nEvery text comes from a Debian package (main). The copyright files, whole, are in `licences/`.\n\n"
            "| text | package | version | licence |\n| --- | --- | --- | --- |\n" + rows +
            "\nPackage records and descriptions (`packages/`, `qa/`, source `descriptions` of the corpus) are from Debian's package\n"
            "index. Records state facts. Each description is part of its source package and under the licence of its\n"
            "packaging; most are short, by many authors, and free as Debian's guidelines ask.\n\n"
            "Texts were changed: markup, code, tables and repeated passages were left out.\n")

    def described(self, name):
        path = self.out / name
        found = {"sha256": digest_of(path), "bytes": path.stat().st_size}
        return found if self.lines[name] is None else {**found, "lines": self.lines[name]}

    def write_manifest(self):
        manifest = {
            "format": FORMAT, "small": self.options.small, "code": self.code, "index": self.index_files,
            "held_out": digest_of(self.options.held_out),
            "packages": {name: {"package": found[0], "version": found[1]} for name, found in sorted(self.versions.items())},
            "files": {name: self.described(name) for name in sorted(self.lines)},
            "corpus": {source: {split: {"documents": found[0], "characters": found[1]} for split, found in sorted(splits.items())}
                       for source, splits in sorted(self.by_source.items())},
        }
        with whole_file(self.out / "manifest.json") as file:
            file.write(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(prog="make-dataset.sh", add_help=False)
    parser.add_argument("--out", type=Path, default=ROOT / ".cache/dataset")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache/dataset-cache")
    parser.add_argument("--held-out", type=Path, default=ROOT / "data/packages-heldout.jsonl")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    progress = Progress(options.quiet)
    try:
        if not options.held_out.exists():
            raise DatasetError(f"{options.held_out} is not there; expected JSON lines with the ids of packages to hold out")
        Build(options, progress).run()
    except DatasetError as error:
        print(f"make-dataset: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make-dataset: interrupted; what is finished is kept, run it again to go on", file=sys.stderr)
        return 130
    progress.say(f"done: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
