"""The King James Bible (a SWORD module) and Jane Austen's novels (an R package's data) to chapters."""
import html
import re
import struct
import zlib

from cleaning import plain
from output import DatasetError


def sword_books(files):
    """The OSIS text of every book of a zText module with one compressed block a book."""
    by_name = {path.rsplit("/", 1)[-1]: data for path, data in files}
    for testament in ("ot", "nt"):
        blocks, data = by_name.get(f"{testament}.bzs"), by_name.get(f"{testament}.bzz")
        if blocks is None or data is None:
            raise DatasetError(f"the SWORD module has no {testament}.bzs and {testament}.bzz; expected a zText module")
        for place in range(0, len(blocks), 12):
            offset, size, _ = struct.unpack("<III", blocks[place:place + 12])
            yield zlib.decompress(data[offset:offset + size]).decode("utf-8", errors="replace")


def bible_chapters(files):
    """(title, text): a paragraph a line of the text, without verse numbers, notes and what editors added."""
    for book in sword_books(files):
        found = re.search(r'<milestone n="([^"]*)" type="x-usfm-h"/>', book)
        if not found:
            continue  # the module's own header
        name = plain(html.unescape(found.group(1)))
        book = re.sub(r"\\\+?[a-z]+\*?(?= |$)", "", book)  # marks that the conversion to OSIS left
        book = re.sub(r"<note\b.*?</note>|<title\b.*?</title>", " ", book, flags=re.S)
        chapters = re.split(r'<chapter [^>]*\bn="(\d+)"[^>]*sID[^>]*/>', book)
        for number, text in zip(chapters[1::2], chapters[2::2]):
            text = re.sub(r'<div [^>]*type="x-p"[^>]*/>|<l\b[^>]*/?>|<lb\b[^>]*/>', "\n", text)
            lines = [plain(html.unescape(re.sub(r"<[^>]*>", "", line))) for line in text.split("\n")]
            paragraphs = [re.sub(r"\s+([,;:.!?])", r"\1", line) for line in lines if len(line) > 1]
            if paragraphs:
                yield f"{name}, chapter {number}", "\n\n".join(paragraphs)


def r_strings(data):
    """The strings of the first character vector in R's serialized form (XDR, "R Internals" 1.8); None for NA."""
    at = data.find(b"X\n")
    if at < 0:
        raise DatasetError("R's data does not begin with 'X'; expected the XDR format")
    words = struct.Struct(">I")
    at = data.find(words.pack(16), at + 10)  # STRSXP without attributes
    if at < 0:
        raise DatasetError("R's data holds no character vector; expected one a novel")
    count = words.unpack_from(data, at + 4)[0]
    at += 8
    strings = []
    for _ in range(count):
        flags, length = words.unpack_from(data, at)[0], struct.unpack_from(">i", data, at + 4)[0]
        if flags & 0xFF != 9:
            raise DatasetError(f"R's data has type {flags & 0xFF} in a character vector; expected 9, a string")
        at += 8
        strings.append(None if length < 0 else data[at:at + length].decode("utf-8", errors="replace"))
        at += max(length, 0)
    return strings


def r_novels(data):
    """The lines of each object of an .rdb file: four bytes of length, then a zlib stream, one after the other."""
    while len(data) > 4:
        unpack = zlib.decompressobj()
        lines = r_strings(unpack.decompress(data[4:]) + unpack.flush())
        yield [line or "" for line in lines]
        data = unpack.unused_data


def novel_chapters(lines):
    """(title, text): the novel's title is its first line; lines are joined to paragraphs."""
    novel = plain(next((line for line in lines if line.strip()), "Novel")).title()
    chapter, paragraphs, current, volume, number = "", [], [], "", 0

    def flush():
        text = plain(re.sub(r"_(.+?)_", r"\1", " ".join(current)))
        current.clear()
        if len(text) > 1:
            paragraphs.append(text)

    for line in [*lines, "CHAPTER END"]:
        mark = re.match(r"\s*(chapter|volume)\b[ .]*([IVXLC\d]*|END|the \w+)\s*$", line, flags=re.I)
        if not mark:
            if line.strip():
                current.append(line.strip())
            else:
                flush()
            continue
        flush()
        if mark.group(1).lower() == "volume":
            volume = f"volume {mark.group(2)}, "
            continue
        if chapter and paragraphs:
            yield chapter, "\n\n".join(paragraphs)
        number += 1
        paragraphs.clear()
        chapter = f"{novel}, {volume}chapter {mark.group(2)}"
