"""HTML, Mallard pages and POD to blocks of text: ("heading" or "text", one line). Code, tables and navigation go."""
import html
import re

from cleaning import is_sentence, plain, without_announcement

TOKEN = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)/?>|([^<]+)|<")
DROPPED = re.compile(r"<!--.*?-->|<\?.*?\?>|<(script|style|svg|math|noscript)\b.*?</\1\s*>", flags=re.S | re.I)
SKIPPED = frozenset("pre table nav header footer form button select figure aside head info media screen code_block "
                    "listing comment cite-block synopsis math".split())
# Parts of a page that are not its text, by the classes and ids that documentation generators give them.
SKIPPED_CLASS = re.compile(
    r"(?:class|id)\s*=\s*[\"']?[^\"'>]*(?<![\w-])(?:navheader|navfooter|docnav|toc|toctree-wrapper|contents|sphinxsidebar|related|"
    r"footer|toplang|bottomlang|breadcrumbs?|wy-nav-side|rst-footer-buttons|highlight[\w-]*|programlisting|literallayout|screen|"
    r"indextable|versionmodified|sidebar|page-header|path|searchmenu|menu|nosearch|banner|comments_section|quickview|author|"
    r"revhistory|legalnotice|copyright|synopsis|cmdsynopsis|verseblock|listingblock|literalblock|footnotes|updates|seealso)"
    r"(?![\w-])", flags=re.I)
HEADINGS = frozenset("h1 h2 h3 h4 h5 h6 title".split())
BLOCKS = HEADINGS | frozenset("p div li dt dd blockquote section ul ol dl td th tr item page article main body br hr note "
                              "list steps terms desc center".split())
VOID = frozenset("br hr img input meta link col area base wbr".split())
LONGEST_TERM = 80  # characters of what a definition list defines; longer ones are signatures of functions


def skip_to_end(tokens, name):
    """Passes over everything up to the end tag that closes an element."""
    depth = 1
    for match in tokens:
        if match.group(2) and match.group(2).lower() == name and not match.group(0).endswith("/>"):
            depth += -1 if match.group(1) else 1
            if depth == 0:
                return


def html_blocks(page):
    """(kind, text) of every block: heading, term (of a definition list), text, or gap where something was left out."""
    page = DROPPED.sub(" ", page)
    tokens = iter(TOKEN.finditer(page))
    kind, parts = "text", []

    def flush():
        text = plain(html.unescape("".join(parts)))
        parts.clear()
        return [(kind, text)] if text else []

    for match in tokens:
        if match.group(4):
            parts.append(match.group(4))
            continue
        if not match.group(2):
            parts.append("<")
            continue
        closing, name, attributes = match.group(1), match.group(2).lower(), match.group(3)
        opens = not closing and name not in VOID and not match.group(0).endswith("/>")
        if opens and (name in SKIPPED or (attributes and SKIPPED_CLASS.search(attributes))):
            yield from flush()
            skip_to_end(tokens, name)
            if name not in ("a", "span", "button"):
                yield "gap", ""
            continue
        if name in BLOCKS:
            yield from flush()
            kind = "text" if closing else "heading" if name in HEADINGS else "term" if name == "dt" else "text"
    yield from flush()


NUMBERING = re.compile(r"^(?:(?:Chapter|Appendix|Section|Part)\s+)?(?:[A-Z]|\d+|[IVX]+)(?:\.\d+)*\.?\s+(?=\S)")
EMPTY_HEADINGS = frozenset(("name", "synopsis", "contents", "table of contents", "see also"))
WORTHLESS = re.compile(r"^(?:see also|note|warning|tip|important|caution|example|contents|table of contents|top|prev|next|"
                       r"available languages|last updated|copyright|return to|this page|author|"
                       r"has the following abi|the file is read only)\b.{0,80}$", flags=re.I)


def close_gaps(blocks):
    """Blocks without gaps: a paragraph before one loses what announces it."""
    before = None
    for kind, text in blocks:
        if kind == "gap":
            if before:
                before = (before[0], without_announcement(before[1]))
            continue
        if before and before[1]:
            yield before
        before = (kind, text)
    if before and before[1]:
        yield before


def document_blocks(blocks):
    """The blocks that are worth reading: headings, and prose with the terms it defines."""
    term = ""
    for kind, text in close_gaps(blocks):
        if kind == "term":
            term = text if len(text) <= LONGEST_TERM and re.search(r"[A-Za-z]{2}", text) else ""
            continue
        if kind == "heading":
            text = NUMBERING.sub("", text).strip()
            term = ""
            if 2 < len(text) <= 90 and text.isascii() and re.search(r"[A-Za-z]{3}", text) and text.lower() not in EMPTY_HEADINGS:
                yield "heading", text.capitalize() if text.isupper() and len(text) > 5 else text
            continue
        if WORTHLESS.match(text):
            continue
        whole = f"{term.rstrip(':')}: {text}" if term else text
        term = ""
        if is_sentence(text) and (text[0].isalnum() or text[0] in "\"'(`-"):
            yield "text", whole


def page_title(page, blocks):
    first = next((text for kind, text in blocks if kind == "heading"), "")
    if first and first.lower() not in ("description", "introduction", "overview", "summary", "architecture", "general"):
        return first
    found = re.search(r"<title[^>]*>(.*?)</title>", page, flags=re.S | re.I)
    return plain(html.unescape(found.group(1))) if found else first


def read_html(data, start=None):
    """(title, blocks) of an HTML or Mallard page; the text begins at the first match of `start`, if there is one."""
    page = data.decode("utf-8", errors="replace")
    if start:
        found = re.search(start, page)
        body = page[found.start():] if found else page
    else:
        body = page
    blocks = list(document_blocks(html_blocks(body)))
    return page_title(page, blocks), blocks


POD_LEFT = re.compile(r"\b[BCEFILSX]<")
POD_CODE = re.compile(r"[A-Z](?:<<+\s(.*?)\s>>+|<([^<>]*)>)", flags=re.S)


def pod_text(text):
    """A POD paragraph without its formatting codes."""
    def unwrap(match):
        code, inner = match.group(0)[0], match.group(1) if match.group(1) is not None else match.group(2)
        if code in "XZ":
            return ""
        if code == "E":
            return {"lt": "\x01", "gt": "\x02", "sol": "/", "verbar": "|"}.get(inner, html.unescape(f"&{inner};"))
        if code == "L":
            inner = inner.split("|")[0].lstrip("/").strip('"')
        return inner.replace("<", "\x01").replace(">", "\x02")

    before = None
    while before != text:
        before, text = text, POD_CODE.sub(unwrap, text)
    return plain(text.replace("\x01", "<").replace("\x02", ">"))


def read_pod(data):
    """(title, blocks) of a page of Perl's Plain Old Documentation."""
    blocks, reading = [], False
    for paragraph in re.split(r"\n\s*\n", data.decode("utf-8", errors="replace")):
        paragraph = paragraph.strip("\n")
        if paragraph.startswith("="):
            command, _, rest = paragraph.partition(" ")
            command = command.split("\n")[0]
            reading = command not in ("=cut", "=begin", "=for", "=encoding") or (reading and command == "=encoding")
            if command.startswith("=head"):
                blocks.append(("heading", pod_text(rest).capitalize() if rest.isupper() else pod_text(rest)))
            elif command == "=item":
                blocks.append(("term", re.sub(r"^(?:\*|\d+\.?)\s*", "", pod_text(rest))))
        elif reading:
            is_code = paragraph.startswith((" ", "\t"))
            blocks.append(("gap", "") if is_code else ("text", pod_text(paragraph)))
    title = ""
    for (kind, text), (_, after) in zip(blocks, blocks[1:]):
        if kind == "heading" and text.lower() == "name":
            title = after
            break
    whole = [(kind, text) for kind, text in blocks if not POD_LEFT.search(text)]  # codes within codes that nothing undid
    return title.split(" - ")[0] or "Perl", list(document_blocks(whole))


def wrapped_blocks(lines):
    """Paragraphs and list items of a package's long description: lines with one space are wrapped prose, a dot stands
    for an empty line, more spaces or a bullet begin an item or something laid out by hand."""
    blocks, current, indent = [], [], 0

    def flush():
        if current:
            blocks.append(" ".join(current))
            current.clear()

    for line in lines:
        body = line[1:]
        text = body.strip()
        if text in (".", ""):
            flush()
            continue
        depth = len(body) - len(body.lstrip())
        bullet = re.match(r"(?:[-*+o•·]|\d+[.)])\s+(?=\S)", text)
        if bullet:
            flush()
            current.append("- " + text[bullet.end():])
            indent = depth
        elif depth and not (current and current[0].startswith("- ") and depth > indent):
            flush()
            current.append(text)
            flush()
        elif current and current[0].startswith("- ") and depth == 0 and indent > 0:
            flush()
            current.append(text)
        else:
            current.append(text)
    flush()
    kept = [block for block in map(plain, blocks) if is_sentence(block) or
            (block.startswith("- ") and len(block) > 12 and re.search(r"[a-z]{3}", block) and block.isascii())]
    # A paragraph that announces a list stands where the list does.
    return [shown for block, after in zip(kept, [*kept[1:], ""])
            if (shown := block if after.startswith("- ") else without_announcement(block))]
