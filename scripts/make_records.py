#!/usr/bin/env python3
"""Prints N package records as JSONL from this machine's package index (apt-cache dumpavail), as the sample data has them.

    make_records.py N
"""
import argparse
import json
import re
import subprocess


def records(text):
    for stanza in text.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", stanza, flags=re.M))
        if "Package" in fields and "Installed-Size" in fields:
            yield fields


def document(fields):
    maintainer = re.sub(r"\s*<.*", "", fields.get("Maintainer", "none")).strip('"') or "none"
    text = (f"Package: {fields['Package']}\nSection: {fields.get('Section', 'none')}\nVersion: {fields['Version']}\n"
            f"Installed size: {fields['Installed-Size']} kB\nMaintainer: {maintainer}\n"
            f"Homepage: {fields.get('Homepage', 'none')}\nSummary: {fields.get('Description', 'none')}\n")
    return {"id": fields["Package"], "title": fields["Package"], "text": text, "metadata": {"section": fields.get("Section", "none")}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, metavar="N")
    count = parser.parse_args().count
    seen = set()
    available = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, errors="replace", check=True).stdout
    for fields in records(available):
        if fields["Package"] in seen:
            continue
        seen.add(fields["Package"])
        print(json.dumps(document(fields), ensure_ascii=False))
        if len(seen) == count:
            return
    raise SystemExit(f"make_records: the package index holds only {len(seen)} packages; run apt-get update")


if __name__ == "__main__":
    main()
