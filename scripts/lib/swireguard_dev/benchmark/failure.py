"""What ends the benchmark, or one measurement of it, with a sentence for the terminal."""


class Failure(Exception):
    """Something is missing, or a measurement came to nothing: what, and how to mend it."""
