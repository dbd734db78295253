"""The figures of one or several runs, and their file format."""

import json
import pathlib
import statistics
import time

from swireguard_dev.benchmark.failure import Failure
from swireguard_dev.benchmark.implementation import CABLE, KERNEL, OURS

FORMAT = 1
# The properties of the host that tables show.
HOST = ("processors", "processor", "memory", "virtualization", "distribution", "kernel", "mtu",
        "congestion control", "iperf3")


class Results:
    """host, implementations by name, and figures by row, each with samples by implementation."""

    def __init__(self, host):
        self.host = host
        self.implementations = {}
        self.figures = {}
        self.failures = {}

    def add(self, row, figures, implementation, values):
        """Adds the values of a row's figures, from one round."""
        for number, (figure, value) in enumerate(zip(figures, values, strict=True)):
            entry = self.figures.setdefault(f"{row}.{number}", {
                "title": figure.title, "unit": figure.unit, "digits": figure.digits,
                "better": figure.better,
                "taken": time.strftime("%Y-%m-%d"), "samples": {}})
            if value is not None:
                entry["samples"].setdefault(implementation, []).append(float(value))

    def fail(self, row, implementation, reason):
        self.failures.setdefault(row, {})[implementation] = str(reason)

    def check(self):
        """Raises LookupError, TypeError, ValueError or AttributeError if the contents are malformed."""
        for key in HOST:
            str(self.host[key])
        for description in self.implementations.values():
            description["version"] + ""
            description.get("interface", {}).items()
        for entry in self.figures.values():
            f"{0.0:.{entry['digits']}f}" + entry["title"] + entry["unit"] + entry["better"]
            for name, samples in entry["samples"].items():
                self.implementations[name], statistics.median(samples) + 0.0
        for failures in self.failures.values():
            for name in failures:
                self.implementations[name]

    def check_match(self, older):
        """Raises a Failure unless an older run is of the same host and the same builds."""
        if older.host != self.host:
            raise Failure("the file is from another host, kernel, MTU or congestion control")
        for name, description in older.implementations.items():
            ours = self.implementations.get(name, description)
            if ours["version"] != description["version"] or \
                    ours.get("sha256") != description.get("sha256"):
                raise Failure(f"the file is from another build of {name}")

    def joined(self, older, rows):
        """These results, and the other rows of an older run, in the order of `rows`."""
        whole = Results(self.host)
        for name, description in {**older.implementations, **self.implementations}.items():
            # A run without traffic has no description of the interfaces.
            whole.implementations[name] = {**older.implementations.get(name, {}), **description}
        own = {row_of(key) for key in self.figures} | set(self.failures)
        kept = {key: entry for key, entry in older.figures.items() if row_of(key) not in own}
        whole.figures = dict(sorted({**kept, **self.figures}.items(),
                                    key=lambda item: rows.index(row_of(item[0]))))
        whole.failures = {**{row: failures for row, failures in older.failures.items()
                             if row not in own}, **self.failures}
        return whole

    def names(self):
        """The names of the implementations, in display order."""
        ranks = {OURS: 0, KERNEL: 2, CABLE: 3}
        return sorted(self.implementations, key=lambda name: ranks.get(name, 1))

    def median(self, key, name):
        samples = self.figures[key]["samples"].get(name)
        return statistics.median(samples) if samples else None

    def ratio(self, key, name):
        """Our median divided by theirs, or None."""
        ours, theirs = self.median(key, OURS), self.median(key, name)
        return ours / theirs if ours is not None and theirs else None

    def write(self, path):
        content = {"format": FORMAT, "host": self.host, "implementations": self.implementations,
                   "figures": self.figures, "failures": self.failures}
        pathlib.Path(path).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def row_of(key):
    """The row of a figure."""
    return key.partition(".")[0]


def read(path):
    """Reads results from a file."""
    try:
        content = json.loads(pathlib.Path(path).read_text())
        if content["format"] != FORMAT:
            raise Failure(f"{path} has an unsupported format")
        results = Results(content["host"])
        for name in ("implementations", "figures", "failures"):
            setattr(results, name, content[name])
        results.check()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failure(f"{path} does not contain valid results: {error!r}") from None
    return results
