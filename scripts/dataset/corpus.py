"""The corpus: documents of all sources without duplicates, in three splits of which none copies from another."""
import re
import zlib

from output import SPLITS

WORDS = re.compile(r"[a-z0-9]+")
SHINGLE = 8  # words
SAMPLE = 8  # within a split one shingle in so many is remembered, chosen by its first words so that copies choose alike
LONG_ENOUGH_TO_REPEAT = 48  # characters; shorter paragraphs, headings among them, may stand in many documents
SHORTEST = 150  # characters of a document that is kept
MOST_SEEN = 0.3  # of a document's shingles in earlier documents


def hash_of(text):
    data = text.encode()
    return zlib.crc32(data) << 32 | zlib.adler32(data)


def shingles(words, sampled=False):
    """Hashes of the runs of SHINGLE words."""
    starts = range(len(words) - SHINGLE + 1)
    if sampled:
        values = [zlib.crc32(word.encode()) for word in words]
        starts = [start for start in starts if (values[start] ^ values[start + 1] * 5) % SAMPLE == 0]
    return {hash_of(" ".join(words[start:start + SHINGLE])) for start in starts}


class Duplicates:
    """Remembers what the documents that it let pass consist of."""

    def __init__(self):
        self.paragraphs = set()
        self.sampled = set()
        self.held_out = set()  # every shingle of test and dev: what trains must not hold pieces of them

    def fresh(self, text, trains):
        """The text without paragraphs that an earlier document has word for word, and, where it `trains`, without those
        of which half is held out."""
        separator = "\n\n" if "\n\n" in text else "\n"
        kept = []
        for paragraph in text.split(separator):
            if len(paragraph) >= LONG_ENOUGH_TO_REPEAT:
                words = WORDS.findall(paragraph.lower())
                key = hash_of(" ".join(words))
                if key in self.paragraphs or (trains and self.share_held_out(words) >= 0.5):
                    continue
                self.paragraphs.add(key)
            kept.append(paragraph)
        return separator.join(kept).strip()

    def share_held_out(self, words):
        found = shingles(words)
        return len(found & self.held_out) / len(found) if found else 0.0

    def share_seen(self, text, trains):
        """The share of the text's sampled shingles that earlier documents have; the text is remembered."""
        words = WORDS.findall(text.lower())
        if not trains:
            self.held_out |= shingles(words)
        found = shingles(words, sampled=True)
        seen = len(found & self.sampled) / len(found) if len(found) >= 4 else 0.0
        self.sampled |= found
        return seen


def without_duplicates(documents):
    """The documents in the order test, dev, train, so that what training loses is what is held out elsewhere."""
    duplicates = Duplicates()
    by_split = {split: [] for split in SPLITS}
    for item in documents:
        by_split[item["split"]].append(item)
    for split in SPLITS:
        trains = split == "train"
        for item in by_split[split]:
            text = duplicates.fresh(item["text"], trains)
            if len(text) < SHORTEST or len(text) < 0.5 * len(item["text"]) or duplicates.share_seen(text, trains) > MOST_SEEN:
                continue
            yield {**item, "text": text}
