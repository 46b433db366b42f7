"""Real weights that no one here trained. Skipped without them: REFRAG_SMOLLM2_DIR (scripts/fetch-smollm2.sh) and
REFRAG_MINILM_DIR (scripts/fetch-minilm.sh) name their directories."""
import os
import shutil
import unittest

from support import MODEL, first_packages, refrag_json, temporary_directory, write_jsonl

SMOLLM2 = os.environ.get("REFRAG_SMOLLM2_DIR")
MINILM = os.environ.get("REFRAG_MINILM_DIR")

NOTES = {
    "lighthouse.txt": "The lighthouse of Marrow Point was built in 1874 by the engineer Ada Fennick. It is 41 metres tall. "
                      "Its lamp was turned by clockwork until 1931, when electricity came to the island.",
    "ferry.txt": "The ferry to Marrow Point leaves at seven in the morning and at four in the afternoon. Dogs travel free. "
                 "In winter there is no afternoon ferry.",
    "bread.txt": "Rye bread needs a long rise. Bake it for fifty minutes at two hundred degrees and let it rest overnight.",
}


@unittest.skipUnless(SMOLLM2, "REFRAG_SMOLLM2_DIR is not set: SmolLM2-135M-Instruct in full context")
class SmolLM2(unittest.TestCase):
    def test_it_answers_in_english_over_a_folder_of_text(self):
        with temporary_directory() as directory:
            notes = directory / "notes"
            notes.mkdir()
            for name, text in NOTES.items():
                (notes / name).write_text(text)
            refrag_json("index", "--model", SMOLLM2, "--kb", directory / "kb", notes)
            for question, expected in (("Who built the lighthouse of Marrow Point?", "Fennick"),
                                       ("When was the lighthouse of Marrow Point built?", "1874"),
                                       ("How many minutes does rye bread bake?", "fifty")):
                answer = refrag_json("query", "--model", SMOLLM2, "--kb", directory / "kb", "--mode", "full", "--top-k", "2",
                                     "--max-tokens", "60", question)
                with self.subTest(question=question):
                    self.assertIn(expected.lower(), answer["answer"].lower().replace("50", "fifty"))
                    self.assertTrue(answer["citations"])

    def test_mode_refrag_is_refused_by_name(self):
        done = refrag_json("query", "--model", SMOLLM2, "--mode", "refrag", "q", expect=2)
        self.assertIn("encoder", done["error"]["message"])


@unittest.skipUnless(MINILM, "REFRAG_MINILM_DIR is not set: all-MiniLM-L6-v2 as a bundle's retriever")
class MiniLM(unittest.TestCase):
    def test_dense_retrieval_finds_by_meaning(self):
        with temporary_directory() as directory:
            bundle = directory / "bundle"
            shutil.copytree(MODEL, bundle)
            shutil.copytree(MINILM, bundle / "retriever")
            packages = first_packages(300)
            write_jsonl(directory / "packages.jsonl", packages)
            refrag_json("index", "--model", bundle, "--kb", directory / "kb", directory / "packages.jsonl")
            hits = refrag_json("search", "--model", bundle, "--kb", directory / "kb", "--retrieve", "dense", "--top-k", "3",
                               "program that ends processes when memory runs short")["hits"]
            self.assertIn("oomd", [hit["document_id"] for hit in hits])
            hybrid = refrag_json("search", "--model", bundle, "--kb", directory / "kb", "--retrieve", "hybrid", "oomd")["hits"]
            self.assertEqual(hybrid[0]["document_id"], "oomd")
            self.assertIsNotNone(hybrid[0]["dense"])


if __name__ == "__main__":
    unittest.main()
