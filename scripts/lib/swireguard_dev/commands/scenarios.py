"""scripts/scenarios: run the scenarios of the kernel's own WireGuard tests, and more like them."""

import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import time

from swireguard_dev import project
from swireguard_dev.command_line import Parser, require_root
from swireguard_dev.project import ROOT

PYTHON = ROOT / ".build/venv/bin/python"
LOG = ROOT / ".build/scenarios.log"
NAME, TITLE = 8, 70  # columns


def main():
    parser = Parser("scenarios")
    parser.add_argument("--peer", type=pathlib.Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--filter", default="")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--sanitize", choices=["address", "thread"])
    options = parser.parse_args()
    if options.peer and options.sanitize:
        parser.error("--sanitize and --peer exclude each other")
    if options.peer and not (options.peer.is_file() and os.access(options.peer, os.X_OK)):
        parser.error(f"{options.peer} is not a program")
    if options.json and not options.json.resolve().parent.is_dir():
        parser.error(f"the directory of {options.json} does not exist")
    require_root("scenarios", status=2)
    # The tests need these tools, and the Python environment that has pytest.
    subprocess.run([ROOT / "scripts/install-dependencies", "--containers"], check=True)
    if pathlib.Path(sys.prefix) != PYTHON.parent.parent:
        script = ROOT / "scripts/scenarios"
        os.execv(script, [script, *sys.argv[1:]])
    # Before pytest imports the modules that use it.
    project.OURS = os.environ["SWIREGUARD"] = str(program(options))
    return run(options)


def program(options):
    """The path of the daemon under test."""
    if options.peer:
        return options.peer.resolve()
    if options.sanitize:
        build = [ROOT / "scripts/lib/build-sanitized", options.sanitize]
    elif "SWIREGUARD" in os.environ:
        return os.environ["SWIREGUARD"]
    else:
        build = [ROOT / "scripts/build"]
    try:
        return subprocess.run(build, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    except subprocess.CalledProcessError:
        print("scenarios: the daemon does not build", file=sys.stderr)
        sys.exit(2)


def run(options):
    import pytest

    lines = Lines(options.filter)
    print(f"daemon: {os.environ['SWIREGUARD']}, {version()}")
    status = pytest.main(
        [str(ROOT / "Tests/EndToEnd"), "-p", "no:terminal",
         *(["--long", "--full"] if options.full else []), "-m", "scenario"], plugins=[lines])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED,
                      pytest.ExitCode.NO_TESTS_COLLECTED):
        lines.stopped = lines.stopped or f"pytest ended with status {int(status)}"
    if lines.stopped or not lines.results:
        print(f"scenarios: {lines.stopped or 'no scenario matches the filter'}", file=sys.stderr)
        return 2
    failed = [result for result in lines.results if result["result"] != "passed"]
    print(f"{len(lines.results) - len(failed)} passed, {len(failed)} failed, "
          f"in {time.monotonic() - lines.begun:.0f} s")
    LOG.write_text("\n\n".join(lines.details))
    if options.json:
        options.json.write_text(json.dumps(
            {"daemon": version(), "full": options.full, "scenarios": lines.results},
            indent=1) + "\n")
    return 1 if failed else 0


def version():
    said = subprocess.run([os.environ["SWIREGUARD"], "--version"], text=True, timeout=20,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return next(iter(said.splitlines()), "no version")


class Lines:
    """A pytest plugin that replaces pytest's output with one line per scenario."""

    def __init__(self, wanted):
        self.wanted = wanted.lower()
        self.titles = {}  # (name, title) by test id
        self.reports = []  # of the current test
        self.results = []
        self.details = []
        self.stopped = None
        self.begun = time.monotonic()

    def pytest_collection_modifyitems(self, config, items):
        for item in items:
            if marker := item.get_closest_marker("scenario"):
                name, title = marker.args
                self.titles[item.nodeid] = (name, title + self.case(item, marker))
        chosen = [item for item in items if self.wanted in
                  " ".join(self.titles.get(item.nodeid, ())).lower()]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = sorted(chosen, key=lambda item: self.order(self.titles[item.nodeid][0])
                          if item.nodeid in self.titles else (9, 0, ""))

    @staticmethod
    def case(item, marker):
        """The id of a parametrized case, if its marker does not distinguish it."""
        own = getattr(item, "callspec", None)
        if own is None or any(mark is marker for mark in getattr(own, "marks", ())):
            return ""
        return f" [{own.id}]"

    @staticmethod
    def order(name):
        """Sorts by group (kernel tests, BSD tests, kernel behavior, our own) and number."""
        letter, number = re.match(r"([A-Z])(\d+)", name).groups()
        return "SBKX".index(letter), int(number), name

    def pytest_runtest_logreport(self, report):
        self.reports.append(report)

    def pytest_runtest_logfinish(self, nodeid):
        reports, self.reports = self.reports, []
        name, title = self.titles[nodeid]
        bad = [report for report in reports if report.outcome != "passed"]
        why = reason(bad[0]) if bad else next(
            (value for report in reports for key, value in report.user_properties
             if key == "seen"), "")
        result = "failed" if bad else "passed"
        self.results.append({
            "name": name, "title": title, "result": result, "why": why, "test": nodeid,
            "seconds": round(sum(report.duration for report in reports), 2)})
        self.details += [f"{name}: {title}\n{report.longreprtext}\n"
                         + "\n".join(f"── {head}\n{text}" for head, text in report.sections)
                         for report in bad]
        shown = textwrap.shorten(title, TITLE, placeholder=" …")
        print(f"{name:{NAME}}{'FAILED' if bad else 'passed'}  {shown:{TITLE}}  {why}", flush=True)

    def pytest_collectreport(self, report):
        if report.failed:
            self.stopped = report.longreprtext

    def pytest_keyboard_interrupt(self, excinfo):
        self.stopped = str(excinfo.value) or "interrupted"


def reason(report):
    """The first line of an exception's message."""
    crash = getattr(report.longrepr, "reprcrash", None)
    said = (crash.message if crash else report.longreprtext).strip().splitlines() or ["no reason"]
    return textwrap.shorten(said[0].removeprefix("AssertionError: "), 160, placeholder=" …")


if __name__ == "__main__":
    sys.exit(main())
