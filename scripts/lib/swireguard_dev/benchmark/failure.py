"""Errors of the benchmark."""


class Failure(Exception):
    """Ends the benchmark or one measurement. The message says what is wrong and how to fix it."""
