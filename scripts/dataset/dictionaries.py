"""WordNet, the GNU Collaborative International Dictionary of English (GCIDE) and FOLDOC to entries."""
import re
from dataclasses import dataclass, field

from cleaning import SPACES, plain
from output import DatasetError

PARTS = {"n": "noun", "v": "verb", "a": "adjective", "s": "adjective", "r": "adverb"}
# Words that a dictionary itself marks as insults are left out.
INSULT = re.compile(r"ethnic slur|disparaging|offensive|derogatory|obscene|vulgar|contemptuous", flags=re.I)


@dataclass
class Sense:
    """A WordNet synset: words of one meaning."""

    key: str  # part of speech and offset, as pointers name it
    part: str
    words: list
    gloss: str
    examples: list
    kinds: list = field(default_factory=list)  # keys of what it is a kind of


def wordnet_sense(line):
    """One line of data.noun and its like (wndb(5WN)); None for the licence at the top."""
    if line.startswith("  "):
        return None
    try:
        head, _, gloss = line.partition(" | ")
        parts = head.split(" ")
        count = int(parts[3], 16)
        words = [re.sub(r"\(.*?\)", "", word).replace("_", " ") for word in parts[4:4 + 2 * count:2]]
        rest = parts[4 + 2 * count:]
        pointers = [rest[1 + 4 * n:5 + 4 * n] for n in range(int(rest[0]))]
    except (IndexError, ValueError) as error:
        raise DatasetError(f"WordNet: '{line[:60]}' is no synset; expected the format of wndb(5WN)") from error
    key = {"s": "a"}.get(parts[2], parts[2]) + parts[0]
    kinds = [pointer[2] + pointer[1] for pointer in pointers if pointer[0] in ("@", "@i")]
    examples = [plain(example) for example in re.findall(r'"([^"]+)"', gloss)]
    meaning = plain(re.split(r';\s*"', gloss.strip())[0]).strip("; ")
    return Sense(key, PARTS[parts[2]], words, meaning, examples, kinds)


def wordnet_senses(files):
    """All synsets, in the order of the files: neighbours are near in meaning too."""
    for _, data in files:
        for line in data.decode("utf-8", errors="replace").splitlines():
            sense = wordnet_sense(line)
            if sense and len(sense.gloss) >= 8 and not INSULT.search(sense.gloss) and '"' not in sense.gloss:
                yield sense


def wordnet_line(sense):
    """A synset as a sentence or two of a dictionary."""
    others = f" Also called {', '.join(sense.words[1:])}." if len(sense.words) > 1 and sense.part == "noun" else (
        f" Also: {', '.join(sense.words[1:])}." if len(sense.words) > 1 else "")
    examples = "".join(f' "{example[0].upper() + example[1:]}."' if example[-1:] not in ".!?" else f' "{example}"'
                       for example in sense.examples[:2] if len(example) > 8)
    return f"{sense.words[0]} ({sense.part}): {sense.gloss}.{others}{examples}"


GCIDE_HEAD = re.compile(r"^(?P<word>[^\s\\\[({][^\\]*?) \\(?P<said>[^\\]*)\\(?P<rest>.*)$", flags=re.S)
GCIDE_PARTS = [("v. t. & i.", "verb"), ("v. i. & t.", "verb"), ("v. t.", "verb"), ("v. i.", "verb"), ("n. pl.", "plural noun"),
               ("n.", "noun"), ("a.", "adjective"), ("adj.", "adjective"), ("adv.", "adverb"), ("prep.", "preposition"),
               ("conj.", "conjunction"), ("interj.", "interjection"), ("pron.", "pronoun")]
# GCIDE writes letters with marks as [=a], ['e], [ae], [oum]; what is left of a pronunciation is dropped with its entry.
GCIDE_LETTER = re.compile(r"\[(?:[=^'`\"~.,*-]+|)([A-Za-z]{1,2})(?:[=^'`\"~.,*]|um|sl|it)?\]")
GCIDE_SOURCE = re.compile(r"\[(?:1913 Webster|Webster 1913|PJC|WordNet|Century Dict|AS|RH|Wordset|MW|Stedman|[A-Z]\w* \d{4})[^\]]*\]")


GCIDE_ORIGIN = re.compile(
    r"\[(?:L|F|OE|AS|Gr|NL|LL|Sp|It|G|D|OF|Cf|See|From|Skr|Icel|Heb|Ar|Per|Turk|Etymol|Imitative|Contr|Prob|Abbrev|Prefix|"
    r"A corruption|Corrupted|Perh|Named|So called|So named|Written also|Also spelt|Also written|Formerly)\b[^\]]*\]")
GCIDE_USAGE = re.compile(
    r"\[(?:Obs|R|Archaic|Colloq|Slang|Scot|Prov\. Eng|Poetic|Eng|U\. ?S|Cant|Low|Obsoles|Rare|Humorous|Jocose|Ironical|"
    r"Colloquial|Local)\.?[^\]]{0,24}\]")


def clean_gcide(text):
    text = GCIDE_SOURCE.sub("", text)
    text = GCIDE_USAGE.sub("", GCIDE_ORIGIN.sub("", text))
    text = re.sub(r"\bFig\.:?", "Figuratively:", GCIDE_LETTER.sub(r"\1", text.replace("{", "").replace("}", "")))
    return plain(text)


# References to other entries, and marks that nothing above has read.
GCIDE_WORTHLESS = re.compile(r"^(?:See|Same as|Of the|Pl\.|p\. p\.)\b|[\[\]\\|^~*=<>`$]|\d/\d| - -")


def gcide_entry(text):
    """(headword, part of speech, [meaning]) of one entry, or None where it defines nothing in sentences of its own."""
    head, *paragraphs = re.split(r"\n\s*\n", text)
    match = GCIDE_HEAD.match(head)
    if not match:
        return None
    # The first lines tell word, sound, part of speech and origin; the first meaning follows on a line of its own.
    lines = match.group("rest").split("\n")
    opening, depth, first = [], 0, len(lines)
    for number, line in enumerate(lines):
        if number and depth <= 0 and re.match(r"   (?:\d+\. |[A-Z(])", line) and opening[-1].rstrip()[-1:] in ".])":
            first = number
            break
        opening.append(line)
        depth += line.count("[") - line.count("]")
    rest = re.sub(r"^\s*\([^)]*\)", "", " ".join(line.strip() for line in opening)).lstrip(" ,;")
    part = next((name for mark, name in GCIDE_PARTS if rest.startswith(mark)), "")
    if not part:
        return None
    meanings = []
    for paragraph in ["\n".join(lines[first:]), *paragraphs]:
        indent = len(paragraph) - len(paragraph.lstrip(" \n"))
        body = paragraph.strip()
        if not body or indent > 7 or re.match(r"(?:Syn|Note|Usage):", body) or body.startswith(("{", "[")) or "WordNet" in body:
            continue  # quotations, synonyms, phrases, and what WordNet says better
        body = clean_gcide(re.sub(r"^\(?(?:\d+|[a-z])\.?\)?\.?\s+(?=[(A-Z])", "", body))
        body = re.sub(r"\s*--\s*[A-Z][\w.' ()]*$", "", body)  # who is quoted
        body = re.sub(r"--\s?[A-Z][A-Za-z.' ]+\.$", "", body).strip()
        body = re.sub(r"^\((?:[A-Z][\w.&' ]{1,24}\.?)\)\s*", "", body)
        if len(body) >= 12 and body[0].isupper() and body.isascii() and not GCIDE_WORTHLESS.search(body):
            meanings.append(body)
    word = plain(match.group("word")).split(",")[0].strip(" \"'")
    if not meanings or not re.fullmatch(r"[A-Za-z][A-Za-z' -]+", word) or INSULT.search(text):
        return None
    return word, part, meanings


def gcide_entries(data):
    """Entries of gcide.dict; each begins with its word at the start of a line, followed by its sound in backslashes."""
    text = data.decode("utf-8", errors="replace")
    starts = [match.start() for match in re.finditer(r"^[A-Za-z][^\n\\]{0,60} \\", text, flags=re.M)]
    for begin, end in zip(starts, [*starts[1:], len(text)]):
        found = gcide_entry(text[begin:end].strip("\n"))
        if found:
            yield found


def gcide_line(entry):
    word, part, meanings = entry
    if len(meanings) == 1:
        return f"{word} ({part}): {meanings[0]}"
    return f"{word} ({part}): " + " ".join(f"{number}. {meaning}" for number, meaning in enumerate(meanings, 1))


FOLDOC_WORTHLESS = re.compile(r"\(\d{4}-\d\d-\d\d\)$|\[|\(http|Home \(|See also")  # dates and references


def foldoc_entries(data):
    """(headword, text) of the Free On-line Dictionary of Computing: headwords stand at the start of a line."""
    text = data.decode("utf-8", errors="replace")
    for match in re.finditer(r"^(\S[^\n]*)\n\n((?:(?:[ ]{3}[^\n]*)?\n)+)", text, flags=re.M):
        word = plain(match.group(1))
        paragraphs = []
        for paragraph in re.split(r"\n\s*\n", match.group(2)):
            body = plain(re.sub(r"[{}_]{1,2}", "", re.sub(r"(^|\)|\d\.)\s*(?:<[a-z][^>]*>\s*)+", r"\1 ", paragraph)))
            body = SPACES.sub(" ", re.sub(r"\s*\[\"[^\]]*\]\.?", "", body)).strip()  # references to literature
            if FOLDOC_WORTHLESS.match(body) or len(body) < 20 or body.endswith(":"):
                continue
            paragraphs.append(re.sub(r"\s*\(https?:[^)]*\)", "", body).strip())
        if sum(bool(re.match(r"\d+\. ", paragraph)) for paragraph in paragraphs) == 1:  # a number alone counts nothing
            paragraphs = [re.sub(r"^\d+\. ", "", paragraph) for paragraph in paragraphs]
        about_itself = "%%%" in word or any("FOLDOC" in paragraph for paragraph in paragraphs[:1])
        if paragraphs and word.isascii() and word[:1].isalnum() and len(word) <= 60 and not about_itself:
            yield word, " ".join(paragraphs)
