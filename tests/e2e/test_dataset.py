"""scripts/make-dataset.sh: its parsers one by one, and the whole script, offline, on packages made here from small samples."""
import hashlib
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import unittest
import zlib

from support import PACKAGES, SOURCE, temporary_directory

sys.path.insert(0, str(SOURCE / "scripts" / "dataset"))
import books
import cleaning
import corpus
import debian
import dictionaries
import markup
import output
import packages
import questions
import sources

SCRIPT = SOURCE / "scripts" / "make-dataset.sh"
SAMPLES = SOURCE / "tests" / "data" / "dataset"


def sample(name):
    return (SAMPLES / name).read_bytes()


def sword_module(books_of_testaments):
    """The files of a zText module: a compressed block a book and their places."""
    files = []
    for testament, texts in books_of_testaments.items():
        data, blocks = b"", b""
        for text in texts:
            packed = zlib.compress(text.encode())
            blocks += struct.pack("<III", len(data), len(packed), len(text))
            data += packed
        files += [(f"engKJV2006eb/{testament}.bzs", blocks), (f"engKJV2006eb/{testament}.bzz", data)]
    return files


def r_database(novels):
    """An .rdb file with one character vector a novel, as R serializes it."""
    data = b""
    for lines in novels:
        strings = b"".join(struct.pack(">Ii", 0x00040009, len(line.encode())) + line.encode() for line in lines)
        header = b"X\n" + struct.pack(">III", 3, 0x00040201, 0x00030500) + struct.pack(">I", 5) + b"UTF-8"
        body = header + struct.pack(">II", 16, len(lines)) + strings
        data += struct.pack(">I", len(body)) + zlib.compress(body)
    return data


GENESIS = ('<milestone n="Genesis" type="x-usfm-h"/><chapter n="1" osisID="Gen.1" sID="Gen.1"/> In the <w lemma="strong:H7225">beginning</w> '
           "God created the heaven and the earth.<note>a note of the editor</note> And the \\nd LORD said, Let there be light, and there "
           'was light.<chapter n="1" eID="Gen.1"/><chapter n="2" osisID="Gen.2" sID="Gen.2"/> Thus the heavens and the earth were finished.')
NOVEL = ["THE KETTLE", "", "CHAPTER I", "", "It is a truth that", "is _seldom_ acknowledged.", "", "The second paragraph.", "",
         "CHAPTER II", "", "All were asleep."]


class Cleaning(unittest.TestCase):
    def test_typography_becomes_what_a_keyboard_has(self):
        self.assertEqual(cleaning.plain("“Don’t”\u00a0stop —\x07 it’s ﬁne…"), "\"Don't\" stop - it's fine...")

    def test_code_tables_and_other_languages_are_no_prose(self):
        self.assertTrue(cleaning.is_prose("The kettle is put on the fire when it has been filled with water."))
        self.assertFalse(cleaning.is_prose("for (i = 0; i < n; ++i) { sum += a[i] * b[i]; }"))
        self.assertFalse(cleaning.is_prose("0x1f 0x20 0x21 | 17 | 18 | 19 | on | off"))
        self.assertFalse(cleaning.is_prose("Der Kessel ist ein Topf, in dem man Wasser kocht, und dieser Satz ist nicht auf Englisch."))

    def test_long_texts_are_cut_at_headings(self):
        blocks = [("heading", "One"), ("text", "a" * 400), ("heading", "Two"), ("text", "b" * 400), ("heading", "Nothing follows")]
        cut = list(cleaning.pieces(blocks, longest=600, shortest=100))
        self.assertEqual(cut, ["One\n\n" + "a" * 400, "Two\n\n" + "b" * 400])


class Markup(unittest.TestCase):
    def test_html_gives_its_prose_alone(self):
        title, blocks = markup.read_html(sample("page.html"), sources.MAIN)
        self.assertEqual(title, "Kettles")
        self.assertEqual(blocks, [
            ("heading", "Kettles"),
            ("text", "A kettle is a vessel in which water is boiled. It has a spout, a lid and a handle, so that one can pour what is in it "
                     "& keep one's fingers cool."),
            ("text", "The command below asks a kettle how warm it is."),
            ("heading", "Options"),
            ("text", "--quiet: Do not whistle when the water has come to the boil, which is of use at night."),
            ("text", "Boils the water until it is as warm as the second argument says."),
            ("heading", "An empty section"),
            ("heading", "Care"),
            ("text", "Lime settles at the bottom of a kettle in which hard water is boiled often. Vinegar takes it off: leave it in the kettle "
                     "overnight, and rinse the kettle well before it is used again, or the tea will taste of vinegar."),
        ])

    def test_pod_loses_its_codes_and_its_code(self):
        title, blocks = markup.read_pod(sample("page.pod"))
        self.assertEqual(title, "perlkettle")
        self.assertEqual([text for _, text in blocks], [
            "Description",
            "A kettle in Perl is an object of the class Kettle, and it is made with new. It is never empty when it is put on the fire, since "
            "$kettle->boil would then fail with an error.",
            "whistle: The kettle whistles when the water has come to the boil, if this is true.",
            "Author",
        ])

    def test_descriptions_are_unwrapped(self):
        lines = [" A kettle for the terminal that boils water", " and tells how warm it is.", " .", " It can do the following:",
                 "  * boil water in the background while", "    you work", "  * whistle at the end", " .", " See", "   kettle --verbatim"]
        self.assertEqual(markup.wrapped_blocks(lines), [
            "A kettle for the terminal that boils water and tells how warm it is.", "It can do the following:",
            "- boil water in the background while you work", "- whistle at the end"])


class Dictionaries(unittest.TestCase):
    def senses(self):
        return list(dictionaries.wordnet_senses([("data.noun", sample("wordnet.data.noun"))]))

    def test_wordnet_synsets(self):
        line = ('00039297 04 n 02 contact 2 eye_contact 0 001 @ 00039021 n 0000 | close interaction; "they kept in daily contact"; '
                '"it was claimed"  ')
        sense = dictionaries.wordnet_sense(line)
        self.assertEqual((sense.part, sense.words, sense.gloss, sense.kinds), ("noun", ["contact", "eye contact"], "close interaction", ["n00039021"]))
        self.assertEqual(dictionaries.wordnet_line(sense),
                         'contact (noun): close interaction. Also called eye contact. "They kept in daily contact." "It was claimed."')
        self.assertEqual(len(self.senses()), 150)
        with self.assertRaisesRegex(output.DatasetError, "wndb"):
            dictionaries.wordnet_sense("no synset")

    def test_gcide_entries_without_sounds_origins_and_quotations(self):
        found = {(word, part): meanings for word, part, meanings in dictionaries.gcide_entries(sample("gcide.dict"))}
        self.assertEqual(found["Abditive", "adjective"], ["Having the quality of hiding."])
        self.assertEqual(len(found["Abdomen", "noun"]), 2)
        self.assertTrue(found["Abdomen", "noun"][0].startswith("The belly, or that part of the body between the thorax and the pelvis."))
        self.assertEqual(found["Abdominous", "adjective"], ["Having a protuberant belly; pot-bellied."])
        for meanings in found.values():
            self.assertNotRegex(" ".join(meanings), r"Webster|[{}\\\[\]]")

    def test_foldoc_entries_without_references_and_dates(self):
        self.assertEqual(list(dictionaries.foldoc_entries(sample("foldoc.dict"))), [
            ("kettle protocol", "A protocol by which kettles in one kitchen agree which of them boils first. Each kettle sends its temperature, "
                                "and the warmest goes on."),
            ("toast stack", "(TS) A stack from which only the lowest slice can be taken, found in kitchens rather than in computers."),
        ])


class Books(unittest.TestCase):
    def test_bible_chapters(self):
        self.assertEqual(list(books.bible_chapters(sword_module({"ot": ["header", GENESIS], "nt": []}))), [
            ("Genesis, chapter 1", "In the beginning God created the heaven and the earth. And the LORD said, Let there be light, and there was light."),
            ("Genesis, chapter 2", "Thus the heavens and the earth were finished."),
        ])

    def test_novels(self):
        novels = list(books.r_novels(r_database([NOVEL, NOVEL[:6]])))
        self.assertEqual(novels, [NOVEL, NOVEL[:6]])
        self.assertEqual(list(books.novel_chapters(NOVEL)), [
            ("The Kettle, chapter I", "It is a truth that is seldom acknowledged.\n\nThe second paragraph."),
            ("The Kettle, chapter II", "All were asleep."),
        ])

    def test_damaged_data_is_named(self):
        with self.assertRaisesRegex(output.DatasetError, "nt.bzs"):
            list(books.sword_books(sword_module({"ot": []})))
        with self.assertRaisesRegex(output.DatasetError, "XDR"):
            books.r_strings(b"A\n1\n")


class Splits(unittest.TestCase):
    def package(self, name, source):
        return packages.Package(name, source, "net", "1.0-1", "10 kB", "Ada", "none", "a program that does it", "")

    def test_versions_are_ordered_as_debian_orders_them(self):
        ordered = ["1.0~rc1-1", "1.0-1", "1.0-1+b1", "1.0-2", "1.0.1-1", "1.10-1", "1:0.1-1"]
        self.assertEqual(sorted(reversed(ordered), key=debian.version_key), ordered)

    def test_siblings_of_what_is_held_out_are_not_trained_on(self):
        found = packages.assign_splits([self.package(f"kettle-{n}", "kettle") for n in range(3)] +
                                       [self.package(f"other-{n}", f"other-{n}") for n in range(200)], {"kettle-1"})
        self.assertEqual({package.split for package in found if package.source == "kettle"}, {"dev"})
        self.assertEqual(len(found), 203)

    def test_one_source_package_is_in_one_split(self):
        found = packages.assign_splits([self.package(f"p{n}", f"s{n // 4}") for n in range(2000)], set())
        splits = {}
        for package in found:
            splits.setdefault(package.source, set()).add(package.split)
        self.assertEqual({len(names) for names in splits.values()}, {1})
        self.assertEqual({package.split for package in found}, {"train", "dev", "test"})

    def test_a_large_family_does_not_fill_the_test(self):
        source = next(f"big{n}" for n in range(1000) if output.split_of("source", f"big{n}", dev=0.02, test=0.06) == "test")
        found = packages.assign_splits([self.package(f"p{n:03}", source) for n in range(100)], set())
        self.assertEqual(len(found), packages.LARGEST_FAMILY)

    def test_recombined_packages_are_new_ones_of_old_parts(self):
        old = [packages.Package(f"lib{n}-part-{n}", "s", f"section{n}", f"{n}.0-1", f"{n} kB", f"Person {n}", f"https://example.org/{n}",
                                f"program number {n}", "") for n in range(20)]
        taken = {package.name for package in old} | {"lib3-part-4"}
        made = packages.recombined(old, 100, taken)
        self.assertEqual(len({package.name for package in made} - taken), 100)
        for field in ("section", "version", "size", "maintainer", "homepage", "summary"):
            values = {getattr(package, field) for package in old}
            self.assertLessEqual({getattr(package, field) for package in made}, values)
        self.assertEqual(made, packages.recombined(old, 100, taken))
        self.assertLess(len(packages.recombined(old[:2], 100, taken)), 4)  # there are no more names

    def test_training_loses_what_is_held_out(self):
        said = "The kettle is a vessel in which water is boiled, and it has a spout, a lid and a handle for the hand."
        rest = "Quite another thing is the toaster, in which slices of bread are made brown by wires that glow when they are hot. "
        rows = [{"id": "train", "text": f"{rest}\n\n{said.replace('vessel', 'pot')}\n\n{rest.replace('toaster', 'oven')}", "split": "train"},
                {"id": "copy", "text": f"{said}\n\n{said}", "split": "train"},
                {"id": "test", "text": f"{said}\n\n" + rest.replace("Quite another", "The same")[:40] + said.replace("kettle", "urn"), "split": "test"}]
        kept = {row["id"]: row["text"] for row in corpus.without_duplicates(rows)}
        self.assertEqual(set(kept), {"test", "train"})
        self.assertNotIn("water is boiled", kept["train"])
        self.assertIn("toaster", kept["train"])


class Questions(unittest.TestCase):
    def asker(self, count=60):
        found = [packages.Package(f"lib{word}-{n}", f"{word}{n}", "libs" if n % 2 else "net", f"{n}.0-1", f"{n} kB", f"Person {n % 9}",
                                  f"https://example.org/{n}", f"library for {word} number {n}", "")
                 for n in range(count // 3) for word in ("tea", "milk", "sugar")]
        return questions.PackageQuestions(found, [packages.record(package) for package in found], "test"), found

    def test_only_one_passage_holds_the_answer(self):
        asker, found = self.asker()
        by_name = {package.name: package for package in found}
        lines = list(asker.lines(6, 8, [0, 1, 2], "x"))
        self.assertGreater(len(lines), 200)
        for line in lines:
            right = line["relevant"][0]
            self.assertEqual(len({passage["id"] for passage in line["passages"]}), 8)
            self.assertEqual(line["kinds"][[passage["id"] for passage in line["passages"]].index(right)], "relevant")
            self.assertEqual(line["answers"], [questions.answer_of(by_name[right], line["field"])])
            for passage in line["passages"]:
                same = questions.answer_of(by_name[passage["id"]], line["field"]) == line["answers"][0]
                self.assertEqual(same, passage["id"] == right)
            self.assertEqual(line["kinds"].count("random"), 3)

    def test_refusals_have_no_relevant_passage(self):
        asker, _ = self.asker()
        for line in asker.lines(1, 8, [0], "x", limit=20, relevant=False):
            self.assertEqual((line["answers"], line["relevant"]), ([questions.REFUSAL], []))
            self.assertNotIn("relevant", line["kinds"])
            self.assertTrue(all(passage["id"] not in line["question"].split() for passage in line["passages"]))

    def test_a_question_that_gives_its_answer_away_is_not_asked(self):
        self.assertFalse(questions.is_worth_asking("What is the section of libfoo-perl?", "perl"))
        self.assertFalse(questions.is_worth_asking("What is the homepage of foo?", "none"))
        self.assertTrue(questions.is_worth_asking("What is the section of libfoo-perl?", "libs"))

    def test_bm25_puts_rare_words_first(self):
        found = questions.Neighbours(["black tea", "green tea", "green kettle", "white milk"], most_common=2)
        self.assertEqual(found.nearest("green tea", 3), [1, 0, 2])

    def test_every_wording_names_what_it_asks_about(self):
        for wordings in [*questions.PHRASINGS.values(), *questions.WORD_PHRASINGS.values()]:
            self.assertEqual(len(set(wordings)), len(wordings))
            self.assertTrue(all(wording.count("{n}") == 1 for wording in wordings))
        shown = {json.loads(line)["question"] for line in (SOURCE / "data" / "qa-heldout.jsonl").read_text().splitlines()[:6]}
        name = json.loads(PACKAGES.read_text().split("\n")[0])["id"]
        self.assertEqual(shown, {wordings[0].format(n=name) for wordings in questions.PHRASINGS.values()})


def files_of_source(source):
    """What the sample package of a source holds."""
    copyright_file = (f"usr/share/doc/{source.package}/copyright", b"License: that of a sample\n")
    by_reader = {
        "bible": lambda: [(f"usr/share/sword/{path}", data) for path, data in sword_module({"ot": [GENESIS], "nt": [GENESIS]})],
        "austen": lambda: [("usr/lib/R/data/Rdata.rdb", r_database([NOVEL]))],
        "wordnet": lambda: [("usr/share/wordnet/data.noun", sample("wordnet.data.noun"))],
        "gcide": lambda: [("usr/share/dictd/gcide.dict.dz", sample("gcide.dict"))],
        "foldoc": lambda: [("usr/share/dictd/foldoc.dict.dz", sample("foldoc.dict"))],
        "pod": lambda: [("usr/share/perl/pod/perlkettle.pod", sample("page.pod"))],
        "html": lambda: [(f"usr/share/doc/{source.package}/policy.html/kettles.html", sample("page.html"))],
    }
    return [copyright_file, *by_reader[source.reader]()]


def build_package(source, version, debs, scratch):
    root = scratch / source.package
    for path, data in files_of_source(source):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN" / "control").write_text(
        f"Package: {source.package}\nVersion: {version}\nArchitecture: all\nMaintainer: Test <t@example.org>\nDescription: sample\n")
    subprocess.run(["dpkg-deb", "--build", "-Znone", root, debs / f"{source.package}_{version}_all.deb"], check=True, capture_output=True)


def index_of(documents):
    """Packages and Translation-en for the sample documents and for the sources of the small data set."""
    stanzas, translations = [], []
    for document in documents:
        fields = dict(line.split(": ", 1) for line in document["text"].strip().split("\n"))
        md5 = hashlib.md5(document["id"].encode()).hexdigest()
        stanzas.append(f"Package: {fields['Package']}\nVersion: {fields['Version']}\nInstalled-Size: {fields['Installed size'].split()[0]}\n"
                       f"Maintainer: {fields['Maintainer']} <x@example.org>\nSection: {fields['Section']}\nHomepage: {fields['Homepage']}\n"
                       f"Description: {fields['Summary']}\nDescription-md5: {md5}\n")
        translations.append(f"Package: {fields['Package']}\nDescription-md5: {md5}\nDescription-en: {fields['Summary']}\n"
                            f" The package {document['id']} is there for {fields['Summary']}, and this\n is what its description says of it at length "
                            f"with its version {fields['Version']}.\n .\n It is maintained by {fields['Maintainer']}, who have a page at\n the address "
                            f"{fields['Homepage']} for those who want to know more of {document['id']}.\n")
    for source in sources.SOURCES:
        if source.small:
            stanzas.append(f"Package: {source.package}\nVersion: 1.0-1\nInstalled-Size: 1\nSection: doc\nDescription: sample source of the test\n")
    return "\n".join(stanzas), "\n".join(translations)


@unittest.skipUnless(pathlib.Path("/usr/bin/dpkg-deb").exists(), "no dpkg-deb")
class WholeScript(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(temporary_directory())
        cls.cache = cls.folder / "cache"
        lists, debs = cls.cache / "apt" / "lists", cls.cache / "debs"
        lists.mkdir(parents=True)
        debs.mkdir()
        documents = [json.loads(line) for line in PACKAGES.read_text(encoding="utf-8").splitlines()]
        (lists / "mirror_Packages").write_text((index := index_of(documents))[0])
        (lists / "mirror_i18n_Translation-en").write_text(index[1])
        for source in sources.SOURCES:
            if source.small:
                build_package(source, "1.0-1", debs, cls.folder / "scratch")
        cls.held_out = cls.folder / "held-out.jsonl"
        cls.held_out.write_text("".join(json.dumps(document) + "\n" for document in documents[:200]))
        cls.out = cls.folder / "first"
        cls.run_script(cls.out)

    @classmethod
    def command(cls, out):
        return [SCRIPT, "--small", "--offline", "--out", out, "--cache", cls.cache, "--held-out", cls.held_out]

    @classmethod
    def run_script(cls, out):
        return subprocess.run(cls.command(out), capture_output=True, text=True, check=True, timeout=120)

    def rows(self, name):
        return [json.loads(line) for line in (self.out / name).read_text(encoding="utf-8").splitlines()]

    def content(self, out):
        return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}

    def test_the_same_index_gives_the_same_bytes(self):
        again = self.folder / "again"
        for part in (self.cache / "parts").glob("*.jsonl"):
            part.unlink()
        self.run_script(again)
        self.assertEqual(self.content(again), self.content(self.out))

    def test_interrupted_and_run_again_it_gives_the_same_bytes(self):
        killed = self.folder / "killed"
        for part in list((self.cache / "parts").glob("*.jsonl"))[:3]:
            part.unlink()
        process = subprocess.Popen(self.command(killed), stderr=subprocess.PIPE, text=True, start_new_session=True)
        for line in process.stderr:
            if "corpus/" in line:
                os.killpg(process.pid, signal.SIGKILL)
                break
        process.stderr.close()
        process.wait()
        self.assertFalse((killed / "manifest.json").exists())
        self.run_script(killed)
        self.assertEqual(self.content(killed), self.content(self.out))

    def test_every_file_is_there_with_its_digest(self):
        manifest = json.loads((self.out / "manifest.json").read_text())
        names = set(manifest["files"])
        for folder in ("corpus", "packages", "qa"):
            self.assertLessEqual({f"{folder}/{split}.jsonl" for split in ("train", "dev", "test")}, names)
        self.assertLessEqual({"LICENCES.md", "licences/wordnet-base.txt", "qa/refusal-test.jsonl", "qa/test-16.jsonl",
                              "qa/test-phrasing.jsonl", "qa/words-train.jsonl"}, names)
        self.assertEqual(set(self.content(self.out)), names | {"manifest.json"})
        for name, described in manifest["files"].items():
            data = (self.out / name).read_bytes()
            self.assertEqual(hashlib.sha256(data).hexdigest(), described["sha256"], name)
            if "lines" in described:
                self.assertEqual(data.count(b"\n"), described["lines"], name)
        for source in sources.SOURCES:
            self.assertEqual(f"| {source.package} | 1.0-1 |" in (self.out / "LICENCES.md").read_text(), source.small)

    def test_documents_have_the_shape_that_the_trainer_reads(self):
        for split in ("train", "dev", "test"):
            for row in self.rows(f"corpus/{split}.jsonl"):
                self.assertEqual(list(row), ["id", "title", "text", "source"])
                self.assertTrue(all(isinstance(value, str) and value for value in row.values()))
        shown = {row["id"]: row for row in map(json.loads, PACKAGES.read_text(encoding="utf-8").splitlines())}
        for split in ("train", "dev", "test"):
            for row in self.rows(f"packages/{split}.jsonl"):
                self.assertEqual(row, shown.get(row["id"], row))

    def test_every_source_was_read(self):
        parts = {path.name.rsplit("-", 1)[0]: path.read_text() for path in (self.cache / "parts").glob("*.jsonl")}
        self.assertEqual(set(parts), {source.name for source in sources.SOURCES if source.small})
        for name, text in parts.items():
            self.assertGreater(text.count("\n"), 0 if name != "perl-doc" else -1, name)  # the sample page is shorter than a document
        self.assertIn("descriptions", {row["source"] for row in self.rows("corpus/train.jsonl")})

    def test_held_out_packages_are_nowhere_in_training(self):
        held_out = {json.loads(line)["id"] for line in self.held_out.read_text().splitlines()}
        ids = {split: {row["id"] for row in self.rows(f"packages/{split}.jsonl")} for split in ("train", "dev", "test")}
        self.assertFalse(ids["train"] & held_out)
        self.assertFalse(ids["test"] & held_out)
        self.assertTrue(ids["dev"] & held_out)
        self.assertFalse(ids["train"] & ids["test"] or ids["train"] & ids["dev"] or ids["dev"] & ids["test"])
        for name in ("qa/train.jsonl", "qa/refusal-train.jsonl"):
            seen = {passage["id"] for row in self.rows(name) for passage in row["passages"]}
            self.assertTrue(seen)
            self.assertLessEqual(seen, ids["train"])
        made = {passage["id"] for row in self.rows("qa/recombined.jsonl") for passage in row["passages"]}
        self.assertFalse(made & (ids["train"] | ids["dev"] | ids["test"]))

    def test_relevant_passages_hold_the_answers(self):
        for name in ("qa/train.jsonl", "qa/recombined.jsonl", "qa/dev.jsonl", "qa/test.jsonl", "qa/words-train.jsonl"):
            rows = self.rows(name)
            self.assertTrue(rows or name != "qa/train.jsonl", name)
            for row in rows:
                self.assertEqual(list(row), ["question", "answers", "passages", "relevant", "field", "phrasing", "kinds"])
                texts = [passage["text"] for passage in row["passages"] if passage["id"] in row["relevant"]]
                self.assertEqual(len(texts), 1)
                self.assertTrue(all(answer in texts[0] for answer in row["answers"]))
                self.assertEqual(len(row["passages"]), len(row["kinds"]))

    def test_what_is_missing_is_named(self):
        done = subprocess.run([SCRIPT, "--offline", "--out", self.folder / "x", "--cache", self.folder / "empty"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no package index", done.stderr)
        tools = self.folder / "tools"
        tools.mkdir()
        for name in ("bash", "dirname", "env", "python3"):
            (tools / name).symlink_to(sys.executable if name == "python3" else f"/usr/bin/{name}")
        done = subprocess.run([SCRIPT, "--out", self.folder / "x"], capture_output=True, text=True, env={"PATH": str(tools)})
        self.assertEqual(done.returncode, 1)
        self.assertIn("apt-get and dpkg-deb not found", done.stderr)
        self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
