#!/usr/bin/env python3
"""The keys of memtandem.yaml(5) as scdoc, from the sample file."""

import re
import sys


def escaped(text):
    return re.sub(r"([\\_*<>#`~\[\]])", r"\\\1", text)


def main():
    comment = []
    with open(sys.argv[1], encoding="utf-8") as sample:
        for line in sample:
            if found := re.match(r"^  # (.*)$", line):
                comment.append(found.group(1))
            elif found := re.match(r"^  #?([a-z_]+):", line):
                about = " ".join(each for each in comment)
                print(f"*{escaped(found.group(1))}*\n\t{escaped(about)}\n")
                comment = []
            elif found := re.match(r"^([a-z]+):", line):
                print(f"# {found.group(1).upper()}\n")
                comment = []
            else:
                comment = []


main()
