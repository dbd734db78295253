"""Options of the commands. Their help texts are in scripts/, so that --help works without Python."""

import argparse
import os
import sys


class Parser(argparse.ArgumentParser):
    """Reports a usage error in one line and exits 2."""

    def __init__(self, name):
        super().__init__(prog=name, add_help=False, allow_abbrev=False)

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def positive(text):
    """A whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def not_negative(text):
    """A whole number, 0 or more."""
    return 0 if text == "0" else positive(text)


def positive_seconds(text):
    """A number above 0, not necessarily whole."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return seconds


def require_root(name, status=1):
    if os.geteuid() != 0:
        print(f"{name}: network namespaces and interfaces need root", file=sys.stderr)
        sys.exit(status)
