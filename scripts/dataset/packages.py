"""Debian's package index: one record a package as a document, its long description as prose, splits by source package."""
import random
import re
from dataclasses import dataclass

from cleaning import plain
from debian import newest, stanzas
from markup import wrapped_blocks
from output import DatasetError, share, split_of

FIELDS = frozenset("Package Source Section Version Installed-Size Maintainer Homepage Description Description-md5".split())
LARGEST_FAMILY = 10  # packages of one source package in the development and test splits
LONGEST_RECORD = 700  # characters


@dataclass
class Package:
    name: str
    source: str
    section: str
    version: str
    size: str
    maintainer: str
    homepage: str
    summary: str
    description: str  # the MD5 that finds the long description
    split: str = ""


def maintainer_name(field):
    return plain(re.sub(r"\s*<.*", "", field, flags=re.S)).strip('"') or "none"


def read_packages(index):
    """One Package a name, sorted by name."""
    found = {}
    for name, fields in newest(fields for fields in stanzas(index, FIELDS) if "Installed-Size" in fields).items():
        found[name] = Package(
            name=name, source=fields.get("Source", name).split(" ")[0], section=fields.get("Section", "none").split("/")[-1],
            version=fields["Version"], size=fields["Installed-Size"] + " kB",
            maintainer=maintainer_name(fields.get("Maintainer", "none")), homepage=plain(fields.get("Homepage", "none")) or "none",
            summary=plain(fields.get("Description", "none").split("\n")[0]),
            description=fields.get("Description-md5", ""))
    if not found:
        raise DatasetError(f"{index} holds no package; expected stanzas with Package, Version and Installed-Size")
    return [found[name] for name in sorted(found)]


def assign_splits(packages, held_out):
    """By source package. Those of `held_out` (names that the repository's sample data shows) go to development: they have
    been looked at, so they are no test, and training must not see them or their siblings."""
    shown = {package.source for package in packages if package.name in held_out}
    families = {}
    for package in packages:
        families.setdefault(package.source, []).append(package)
    kept = []
    for source in sorted(families):
        family = families[source]
        split = "dev" if source in shown else split_of("source", source, dev=0.02, test=0.06)
        if split != "train" and len(family) > LARGEST_FAMILY:
            # A family of hundreds would be most of what a table says. The sample data's own packages stay.
            chosen = sorted(family, key=lambda package: share("family", package.name))[:LARGEST_FAMILY]
            family = chosen + [package for package in family if package.name in held_out and package not in chosen]
        for package in sorted(family, key=lambda package: package.name):
            package.split = split
            kept.append(package)
    return sorted(kept, key=lambda package: package.name)


def record_text(package):
    return (f"Package: {package.name}\nSection: {package.section}\nVersion: {package.version}\nInstalled size: {package.size}\n"
            f"Maintainer: {package.maintainer}\nHomepage: {package.homepage}\nSummary: {package.summary}\n")


def record(package):
    """A document in the shape of data/packages-heldout.jsonl."""
    return {"id": package.name, "title": package.name, "text": record_text(package), "metadata": {"section": package.section}}


def usable(package):
    text = record_text(package)
    return len(text) <= LONGEST_RECORD and len(package.summary) >= 8 and package.summary != "none"


def recombined(packages, count, taken):
    """Packages that do not exist: each field is that of another of `packages`, the name is of two and none of `taken`. What
    was learnt by heart of `packages` answers no question about these."""
    made = {}
    for number in range(10 * count):  # a small collection may not have as many names
        if len(made) == count:
            break
        draw = random.Random(f"recombined {number}")
        first, second, *parts = (draw.choice(packages) for _ in range(8))
        name = f"{first.name.split('-')[0]}-{second.name.partition('-')[2] or second.name}"
        package = Package(name, name, parts[0].section, parts[1].version, parts[2].size, parts[3].maintainer, parts[4].homepage,
                          parts[5].summary, "", "train")
        if name not in taken and usable(package):
            made[name] = package
    return [made[name] for name in sorted(made)]


def read_descriptions(translation):
    """MD5 of a description to its lines after the summary."""
    wanted = frozenset(("Description-md5", "Description-en"))
    return {fields["Description-md5"]: fields["Description-en"].split("\n")[1:]
            for fields in stanzas(translation, wanted) if len(fields) == 2}


def mask(paragraph, package):
    """A paragraph without what makes copies of it differ: the words of the package's name, and numbers."""
    names = set(re.findall(r"[a-z]+", f"{package.name} {package.source}".lower()))
    masked = " ".join("@" if word in names else word for word in re.findall(r"[a-z]+", paragraph.lower()))
    return re.sub(r"@(?: @)+", "@", masked)


def description_documents(packages, descriptions):
    """One document a source package: the descriptions of its packages, each paragraph once, without boilerplate."""
    families, seen_in = {}, {}
    for package in packages:
        blocks = wrapped_blocks(descriptions.get(package.description, []))
        families.setdefault(package.source, []).append((package, blocks))
        for block in blocks:
            seen_in.setdefault(mask(block, package), set()).add(package.source)
    for source in sorted(families):
        parts, seen = [], set()
        for package, blocks in families[source]:
            fresh = []
            for block in blocks:
                key = mask(block, package)
                if key not in seen and len(seen_in[key]) <= 3:
                    seen.add(key)
                    fresh.append(block)
            if fresh:
                parts.append(joined(f"{package.name}: {package.summary}.", fresh))
        text = "\n\n".join(parts)
        if len(text) >= 200:
            yield {"id": f"descriptions/{source}", "title": source, "text": text[:20000], "source": "descriptions",
                   "split": families[source][0][0].split}


def joined(opening, blocks):
    """Paragraphs apart, list items on lines of their own."""
    text = opening
    for before, block in zip([opening, *blocks], blocks):
        text += ("\n" if block.startswith("- ") and (before.startswith("- ") or before.endswith(":")) else "\n\n") + block
    return text
