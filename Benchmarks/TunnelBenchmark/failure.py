"""What ends the benchmark, or one measurement of it, with a sentence for the terminal."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The namespaces are those of the tests.
sys.path.insert(0, str(ROOT / "Tests" / "EndToEnd"))


class Failure(Exception):
    """Something is missing, or a measurement came to nothing: what, and how to mend it."""
