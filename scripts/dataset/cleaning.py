"""What makes text clean prose: characters, paragraphs that are sentences in English, documents of a useful length."""
import re
import unicodedata

# Typographic characters to what a keyboard has: a small vocabulary then needs no byte tokens for them.
PLAIN = str.maketrans({
    "‘": "'", "’": "'", "‚": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "′": "'", "″": '"',
    "–": "-", "‐": "-", "‑": "-", "‒": "-", "−": "-", "—": " - ", "―": " - ", "…": "...", "•": "-", "·": " ",
    "\u00a0": " ", "\u2002": " ", "\u2003": " ", "\u2009": " ", "\u202f": " ", "\u3000": " ", "¶": "", "\u00ad": "",
    "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "", "\ufeff": "", "\ufffd": "", "→": "->", "←": "<-", "×": "x",
    "ﬁ": "fi", "ﬂ": "fl", "™": "", "®": "", "⇒": "=>", "≥": ">=", "≤": "<=", "≠": "!=",
    "‣": "-", "●": "-", "▪": "-", "◦": "-", "\ufffc": "",
})
QUOTED = re.compile(r"`([^`'\n]{1,60})'")  # as `this' was written before keyboards had better

UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ue000-\uf8ff]")
SPACES = re.compile(r"\s+")
WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
# In almost every English sentence; other languages in Latin script have few of them.
FREQUENT = frozenset(
    "the of and to a in is for that it with as on are by be this from or an not can which at has have was will if when "
    "all its used using you your other also but they their we he his her i my our me there these one more no so any who "
    "him them were had may must should do does into only use such than shall unto thy thou said upon then".split())


def plain(text):
    """One line of text: Unicode composed, typography made plain, no control characters, single spaces."""
    text = unicodedata.normalize("NFC", text).translate(PLAIN)
    text = SPACES.sub(" ", UNWANTED.sub(" ", text)).strip()
    return QUOTED.sub(r"'\1'", re.sub(r" ([,;:.!?)])(?= |$)", r"\1", text))


def is_english(words):
    return len(words) < 12 or sum(word.lower() in FREQUENT for word in words) >= 0.16 * len(words)


def is_prose(text):
    """Sentences rather than code, tables, lists of names or markup that was left behind."""
    words = WORD.findall(text)
    if len(words) < 4:
        return False
    letters = sum(map(str.isalpha, text)) + text.count(" ")
    ascii_share = sum(map(str.isascii, text)) / len(text)
    if letters < 0.82 * len(text) or ascii_share < 0.97:
        return False
    if sum(map(len, words)) > 11 * len(words) or re.search(r"\S{70}", text) or re.search(r"(.)\1{5}", text):
        return False
    return is_english(words)


def is_sentence(text):
    """Prose that says something for itself: begins like a sentence or a list item and ends like one."""
    return is_prose(text) and (len(text) >= 60 or text[-1:] in ".!?:;)")


def without_announcement(text):
    """A paragraph without its last sentence where that announces something, code or a table, that is not there."""
    if not text.endswith(":"):
        return text
    return text[:text.rfind(". ") + 1] if ". " in text else ""


def pieces(paragraphs, longest=12000, shortest=300):
    """(kind, text) blocks cut into texts of at most `longest` characters, at headings where that is possible. Headings
    without a paragraph under them are dropped, texts shorter than `shortest` are too."""
    kept = []
    for kind, text in paragraphs:
        while kind == "heading" and len(kept) > 1 and kept[-1][0] == "heading":
            kept.pop()
        kept.append((kind, text))
    texts, current, size = [], [], 0
    for kind, text in kept:
        if current and (size + len(text) > longest or (kind == "heading" and size > longest // 2)):
            texts.append(current)
            current, size = [], 0
        current.append((kind, text))
        size += len(text) + 2
    if current:
        texts.append(current)
    for blocks in texts:
        while blocks and blocks[-1][0] == "heading":
            blocks.pop()
        if blocks:
            blocks[-1] = (blocks[-1][0], without_announcement(blocks[-1][1]))
        text = "\n\n".join(text for _, text in blocks if text)
        if len(text) >= shortest:
            yield text
