"""Where the corpus comes from: Debian packages, their licences as their copyright files say, and how each is read."""
import re
from dataclasses import dataclass

import books
import dictionaries
import markup
from cleaning import is_prose, pieces
from debian import deb_members
from output import split_of


@dataclass(frozen=True)
class Source:
    package: str
    what: str
    licence: str
    reader: str  # a key of READERS
    files: str  # the members of the package that are read, a regular expression
    start: str = ""  # where the text of a page begins, a regular expression
    via: str = ""  # the package that depends on the one for this release
    small: bool = False  # part of the small data set too

    @property
    def name(self):
        return self.via or self.package


MAIN = r'<div[^>]* (?:role="main"|class="document")|<div [^>]*itemprop="articleBody"|<main\b'
SOURCES = [
    Source("sword-text-kjv", "the King James Bible (text of 1769)", "public domain", "bible", r"engKJV2006eb/[on]t\.bz[sz]$",
           small=True),
    Source("r-cran-janeaustenr", "Jane Austen's six novels", "texts: public domain; package: MIT", "austen",
           r"data/Rdata\.rdb$", small=True),
    Source("wordnet-base", "WordNet 3.0", "WordNet 3.0 licence (BSD-like)", "wordnet",
           r"share/wordnet/data\.(?:noun|verb|adj|adv)$", small=True),
    Source("dict-gcide", "The Collaborative International Dictionary of English", "GPL-2+ (text of 1913: public domain)",
           "gcide", r"gcide\.dict\.dz$", small=True),
    Source("dict-foldoc", "The Free On-line Dictionary of Computing", "GFDL-1.1+ without invariant sections", "foldoc",
           r"foldoc\.dict\.dz$", small=True),
    Source("linux-doc", "The Linux Kernel documentation", "GPL-2 (some pages: GPL-2+, LGPL, GFDL, CC-BY-4.0, MIT)", "html",
           r"/html/(?!translations/|genindex|search|_)[^ ]*\.html$", MAIN, via="linux-doc"),
    Source("python3-doc", "The Python documentation", "PSF-2.0", "html",
           r"/html/(?!genindex|search|contents|copyright|license|whatsnew/changelog|_|py-modindex)[^ ]*\.html$", MAIN,
           via="python3-doc"),
    Source("postgresql-doc", "The PostgreSQL manual", "PostgreSQL licence", "html",
           r"/html/(?!bookindex|biblio|release-)[^/]*\.html$", via="postgresql-doc"),
    Source("git-doc", "The Git manual pages, guides and technical notes", "GPL-2", "html", r"git-doc/.*\.html$",
           r'<div id="content"'),
    Source("sqlite3-doc", "The SQLite documentation", "public domain", "html",
           r"/sqlite3/(?!releaselog/|syntax/|changes|chronology|requirements|matrix|sitemap|keyword_index|doclist|docs\.|"
           r"toc|hlr)[^ ]*\.html$", r"</script>\s*</div>"),
    Source("apache2-doc", "The Apache HTTP Server manual", "Apache-2.0", "html",
           r"/manual/en/(?!.*(?:quickreference|directives|sitemap|license))[^ ]*\.html$", r'<div id="page-content"'),
    Source("python-django-doc", "The Django documentation", "BSD-3-Clause", "html",
           r"/html/(?!genindex|search|_|releases/[\d.]+\.html)[^ ]*\.html$", r'<div class="yui-b"'),
    Source("perl-doc", "The Perl documentation", "GPL-1+ or Artistic", "pod",
           r"/pod/(?!perl(?:cn|jp|ko|tw|artistic|gpl|toc|modlib|uniprops|api|intern|bs2000|delta)\.pod)[^/]*\.pod$", small=True),
    Source("gnome-user-docs", "The GNOME help", "CC-BY-SA-3.0", "html", r"/help/C/.*\.page$"),
    Source("debian-handbook", "The Debian Administrator's Handbook", "GPL-2+ or CC-BY-SA-3.0", "html",
           r"/en-US/(?!ix01)[^/]*\.html$"),
    Source("debian-policy", "The Debian Policy Manual", "GPL-2+", "html",
           r"/policy\.html/(?!genindex|search)[^/]*\.html$", MAIN, small=True),
    Source("developers-reference", "The Debian Developer's Reference", "GPL-2", "html",
           r"developers-reference/(?!genindex|search)[^/]*\.html$", MAIN),
    Source("debian-reference-en", "The Debian Reference", "GPL-2+", "html", r"debian-reference/[^/]*\.en\.html$"),
    Source("debian-faq", "The Debian FAQ", "its own copyleft notice, in its copyright file", "html", r"/FAQ/[^/]*\.en\.html$"),
    Source("debian-history", "A brief history of Debian", "GPL-2+", "html", r"/docs/[^/]*\.en\.html$"),
    Source("harden-doc", "Securing Debian Manual", "GPL-2+", "html", r"/html/en-US/[^ ]*\.html$"),
    Source("installation-guide-amd64", "The Debian installation guide", "GPL-2", "html", r"/en/[^/]*\.html$"),
    Source("maint-guide", "The Debian New Maintainers' Guide", "GPL-2+", "html", r"/html/[^/]*\.en\.html$"),
]

LONGEST_PAGE = 4000  # characters of dictionary entries in one document


def document(source, name, title, text, unit):
    """One text with the unit that decides its split: a page, a chapter, a headword."""
    return {"id": f"{source.name}/{name}", "title": title, "text": text, "source": source.name,
            "split": split_of(source.name, unit)}


def page_documents(source, members, read):
    for path, data in members:
        title, blocks = read(data)
        short = re.sub(r"^usr/(?:share|lib)/(?:doc/|help/C/)?|\.(?:html|page|pod)$", "", path)
        for number, text in enumerate(pieces(blocks)):
            yield document(source, f"{short}/{number}", title, text, short)


def chapter_documents(source, chapters):
    for title, text in chapters:
        yield document(source, title, title, text, title)


def entry_documents(source, entries, label):
    """Entries, (headword, line) each, gathered to pages; the headword decides the split, so pages hold those of one."""
    pages = {}
    numbers = {}

    def finish(split):
        page = pages.pop(split)
        number = numbers[split] = numbers.get(split, 0) + 1
        title = f"{label}: {page[0][0]} to {page[-1][0]}"
        return {"id": f"{source.name}/{split}/{number:05d}", "title": title, "text": "\n".join(line for _, line in page),
                "source": source.name, "split": split}

    for word, line in entries:
        if not is_prose(line):
            continue
        split = split_of("headword", word.lower())  # one rule for all dictionaries, and for questions about words
        page = pages.setdefault(split, [])
        page.append((word, line))
        if sum(len(line) for _, line in page) >= LONGEST_PAGE:
            yield finish(split)
    for split in sorted(pages):
        yield finish(split)


def read_bible(source, members):
    return chapter_documents(source, books.bible_chapters(members))


def read_austen(source, members):
    for _, data in members:
        for lines in books.r_novels(data):
            yield from chapter_documents(source, books.novel_chapters(lines))


def read_wordnet(source, members):
    entries = ((sense.words[0], dictionaries.wordnet_line(sense)) for sense in dictionaries.wordnet_senses(members))
    return entry_documents(source, entries, "WordNet")


def read_gcide(source, members):
    entries = ((entry[0], dictionaries.gcide_line(entry)) for entry in dictionaries.gcide_entries(members[0][1]))
    return entry_documents(source, entries, "Dictionary")


def read_foldoc(source, members):
    entries = ((word, f"{word}: {text}") for word, text in dictionaries.foldoc_entries(members[0][1]))
    return entry_documents(source, entries, "Computing dictionary")


READERS = {
    "html": lambda source, members: page_documents(source, members, lambda data: markup.read_html(data, source.start or None)),
    "pod": lambda source, members: page_documents(source, members, markup.read_pod),
    "bible": read_bible, "austen": read_austen, "wordnet": read_wordnet, "gcide": read_gcide, "foldoc": read_foldoc,
}


def documents_of(source, deb):
    """The documents of one source, in the order of its files."""
    return READERS[source.reader](source, deb_members(deb, source.files))
