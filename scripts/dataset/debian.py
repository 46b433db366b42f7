"""Debian's package index and packages, by apt-get and dpkg-deb into folders of our own: no root, nothing installed."""
import gzip
import os
import re
import shutil
import subprocess
import tarfile

from output import DatasetError, whole_file

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def require_tools(offline):
    missing = [tool for tool in (["dpkg-deb"] if offline else ["apt-get", "dpkg-deb"]) if not shutil.which(tool)]
    if missing:
        raise DatasetError(f"{' and '.join(missing)} not found; expected a Debian system. With --offline and a cache that was "
                           "filled on one, dpkg-deb alone is enough")


def release_name():
    with open("/etc/os-release", encoding="utf-8") as file:
        found = re.search(r"^VERSION_CODENAME=(\S+)", file.read(), flags=re.M)
    if not found:
        raise DatasetError("/etc/os-release has no VERSION_CODENAME; expected that of a Debian release")
    return found.group(1)


def fields_of(stanza, wanted):
    """The wanted fields of one stanza; lines that continue a field are joined to it by newlines."""
    found, last = {}, None
    for line in stanza.split("\n"):
        if line[:1] in (" ", "\t"):
            if last:
                found[last] += "\n" + line
            continue
        name, _, value = line.partition(":")
        last = name if name in wanted else None
        if last:
            found[last] = value.strip()
    return found


def stanzas(path, wanted):
    with open(path, encoding="utf-8", errors="replace") as file:
        for stanza in file.read().split("\n\n"):
            found = fields_of(stanza, wanted)
            if found:
                yield found


def version_key(version):
    """What orders Debian versions (deb-version(7)): epoch, upstream version, revision; ~ sorts before the end."""
    def parts(text):
        keys = []
        for letters, digits in re.findall(r"([^0-9]*)([0-9]*)", text):
            order = [-1 if letter == "~" else ord(letter) if letter.isalpha() else ord(letter) + 256 for letter in letters]
            keys.append((order + [0], int(digits or 0)))
        return keys

    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
    return int(epoch or 0), parts(upstream), parts(revision)


def newest(found):
    """Package to fields; of several versions the newest, as apt has it."""
    best = {}
    for fields in found:
        name = fields.get("Package")
        if not name or "Version" not in fields:
            continue
        if name not in best or version_key(fields["Version"]) > version_key(best[name]["Version"]):
            best[name] = fields
    return best


class Apt:
    """An apt of its own under `cache`: it reads one suite of the machine's mirror, so that the machine's other sources,
    security updates of the day among them, do not change the bytes."""

    def __init__(self, cache, offline):
        self.cache = cache.resolve()
        self.offline = offline
        self.lists = self.cache / "apt" / "lists"
        self.debs = self.cache / "debs"

    def options(self):
        state = self.cache / "apt"
        pairs = {
            "Dir::Etc::SourceList": state / "sources.list", "Dir::Etc::SourceParts": "/dev/null", "Dir::State": state,
            "Dir::State::Lists": self.lists, "Dir::State::Status": "/dev/null", "Dir::Cache": state / "cache",
            "Acquire::Languages": "en", "Acquire::GzipIndexes": "false", "Acquire::Retries": "3",
            "APT::Sandbox::User": "",  # the folders are ours, not _apt's
        }
        return [part for name, value in pairs.items() for part in ("-o", f"{name}={value}")]

    def run(self, *arguments, cwd=None):
        done = subprocess.run(["apt-get", *self.options(), "-q", *arguments], cwd=cwd, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            last = "\n  ".join(done.stdout.strip().splitlines()[-6:])
            raise DatasetError(f"apt-get {' '.join(arguments)} failed:\n  {last}")

    def machine_source(self):
        """The line of sources.list for the machine's own Debian release, component main."""
        release = release_name()
        listed = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)",
                                 "Created-By: Packages"], capture_output=True, text=True, check=False).stdout
        rows = [line.split(" ") for line in listed.splitlines()]
        mirrors = [row[0] for row in rows if row[1:3] == [release, "main"]]
        debians = [row[0] for row in rows if row[1:4] == [release, "main", "Debian"]] or mirrors
        if not debians:
            raise DatasetError(f"apt's sources name no component main of {release}; expected Debian's mirror among them")
        signed = f"[signed-by={KEYRING}] " if os.path.exists(KEYRING) else ""
        return f"deb {signed}{debians[0]} {release} main\n"

    def index_files(self):
        """(Packages, Translation-en), fetched where they are not there yet."""
        def find():
            packages = sorted(self.lists.glob("*_Packages"))
            translations = sorted(self.lists.glob("*_Translation-en"))
            return (packages[0], translations[0]) if packages and translations else None

        found = find()
        if found:
            return found
        if self.offline:
            raise DatasetError(f"{self.lists} has no package index; expected one from a run without --offline")
        for folder in (self.lists / "partial", self.cache / "apt" / "cache" / "archives" / "partial"):
            folder.mkdir(parents=True, exist_ok=True)
        with whole_file(self.cache / "apt" / "sources.list") as file:
            file.write(self.machine_source())
        self.run("update")
        found = find()
        if not found:
            raise DatasetError(f"apt-get update left no Packages and Translation-en in {self.lists}; expected both")
        return found

    def fetch(self, package, version):
        """The package's .deb, downloaded once."""
        name = f"{package}_{version.replace(':', '%3a')}_"
        found = sorted(self.debs.glob(glob_escape(name) + "*.deb"))
        if found:
            return found[0]
        if self.offline:
            raise DatasetError(f"{self.debs} has no {name}*.deb; expected it from a run without --offline")
        incoming = self.debs / "incoming"  # a download that was interrupted is not taken for a package
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(parents=True)
        self.run("download", f"{package}={version}", cwd=incoming)
        for deb in incoming.glob("*.deb"):
            os.replace(deb, self.debs / deb.name)
        found = sorted(self.debs.glob(glob_escape(name) + "*.deb"))
        if not found:
            raise DatasetError(f"apt-get download {package}={version} left no {name}*.deb in {self.debs}")
        return found[0]


def glob_escape(text):
    return re.sub(r"([*?\[])", r"[\1]", text)


def deb_members(deb, wanted):
    """(path, bytes) of the regular files of a .deb whose path `wanted` matches, sorted by path; .gz files unpacked."""
    pattern = re.compile(wanted)
    found = {}
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as unpack:
        try:
            with tarfile.open(fileobj=unpack.stdout, mode="r|") as archive:
                for member in archive:
                    path = member.name.removeprefix("./")
                    if member.isfile() and pattern.search(path):
                        data = archive.extractfile(member).read()
                        found[path] = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        except (tarfile.TarError, EOFError, OSError) as error:
            raise DatasetError(f"{deb}: {error}; expected a Debian package") from error
    if unpack.returncode != 0:
        raise DatasetError(f"{deb}: dpkg-deb ended with {unpack.returncode}; expected a Debian package. Remove the file to "
                           "fetch it anew")
    return sorted(found.items())
