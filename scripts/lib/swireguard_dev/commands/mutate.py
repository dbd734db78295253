"""scripts/lib/mutate: break rules one at a time, and check that the named test fails."""

import datetime
import pathlib
import re
import subprocess
import sys
import time
import tomllib

from swireguard_dev.command_line import Parser, positive
from swireguard_dev.commands.check_pitfalls import swift_tests
from swireguard_dev.project import ROOT

TABLE = ROOT / "Tests/mutations.toml"
COPY = ROOT / ".build/mutate"
COPIED = ("Package.swift", "Package.resolved", "Sources", "Tests", "Snippets", "Vectors", "Benchmarks")
KEYS = {"name", "rule", "file", "search", "replace", "test"}
# `needs`: processor flags without which the patched code is not used.
OPTIONAL = {"needs"}


def complaints(mutations):
    """Errors in the table."""
    tests, names = swift_tests(ROOT), set()
    for mutation in mutations:
        name = mutation.get("name", "?")
        if set(mutation) - OPTIONAL != KEYS:
            yield f"{name}: the keys must be {', '.join(sorted(KEYS))}"
            continue
        if name in names:
            yield f"{name}: duplicate name"
        names.add(name)
        path = ROOT / mutation["file"]
        times = path.read_text().count(mutation["search"]) if path.is_file() else 0
        if times != 1:
            yield f"{name}: {times} matches in {mutation['file']}, expected 1"
        if mutation["search"] == mutation["replace"]:
            yield f"{name}: search and replace are equal"
        if mutation["test"] not in tests:
            yield f"{name}: test {mutation['test']} does not exist"


def runnable(mutations):
    """The mutations of code that this processor can use. Prints the others."""
    flags = set(pathlib.Path("/proc/cpuinfo").read_text().split())
    for mutation in mutations:
        lacking = set(mutation.get("needs", "").split()) - flags
        if lacking:
            print(f"        {mutation['name']}: left out, because this processor lacks "
                  f"{', '.join(sorted(lacking))}")
        else:
            yield mutation


def copy_tree():
    """Updates the copy. Unchanged files keep their times, so that the build is incremental."""
    original = {path.relative_to(ROOT) for name in COPIED
             for path in [ROOT / name, *(ROOT / name).rglob("*")] if path.is_file()}
    old = {path.relative_to(COPY) for name in COPIED
           for path in [COPY / name, *(COPY / name).rglob("*")] if path.is_file()}
    for name in old - original:
        (COPY / name).unlink()
    for name in original:
        content = (ROOT / name).read_bytes()
        if name not in old or (COPY / name).read_bytes() != content:
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            (COPY / name).write_bytes(content)


def build():
    return subprocess.run(
        ["swift", "build", "--build-tests", "--package-path", COPY], capture_output=True, text=True)


def run(tests):
    """Whether the tests pass, and their output."""
    pattern = "|".join(rf"\.{suite}/{function}\("
                       for suite, function in (test.split(".") for test in tests))
    try:
        result = subprocess.run(
            ["swift", "test", "--skip-build", "--disable-xctest", "--package-path", COPY,
             "--filter", pattern], capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return False, "timed out"
    output = result.stdout + result.stderr
    # A test that traps prints no result. Any other output without a result is an error of this script.
    ended = re.search(r"Test run with [1-9]", output)
    if not ended and "unexpected signal" not in output:
        sys.exit(f"mutate: no test matched {', '.join(tests)}:\n{output[-2000:]}")
    return result.returncode == 0, output


def try_one(mutation):
    """Builds and tests one patch; returns its outcome."""
    path = COPY / mutation["file"]
    original = path.read_text()
    path.write_text(original.replace(mutation["search"], mutation["replace"]))
    try:
        built = build()
        if built.returncode != 0:
            errors = re.findall(r"error: .*", built.stdout + built.stderr)
            return "does not build: " + "; ".join(dict.fromkeys(errors))
        return "survived" if run([mutation["test"]])[0] else "killed"
    finally:
        path.write_text(original)


def main():
    parser = Parser("mutate")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--some", type=positive, metavar="N")
    options = parser.parse_args()
    mutations = tomllib.loads(TABLE.read_text())["mutation"]
    wrong = list(complaints(mutations))
    for complaint in wrong:
        print(f"{TABLE.relative_to(ROOT)}: {complaint}", file=sys.stderr)
    if wrong or options.check:
        return 1 if wrong else 0
    unknown = set(options.names) - {mutation["name"] for mutation in mutations}
    if unknown:
        sys.exit(f"mutate: unknown mutation {', '.join(sorted(unknown))}")
    # Before --some selects, so that it selects the same number on every machine.
    mutations = list(runnable(mutations))
    if options.names:
        mutations = [mutation for mutation in mutations if mutation["name"] in options.names]
    elif options.some:
        first = datetime.date.today().toordinal() * options.some
        mutations = [mutations[(first + number) % len(mutations)]
                     for number in range(min(options.some, len(mutations)))]

    if not mutations:
        sys.exit("mutate: this processor can use the code of none of these mutations")
    started = time.monotonic()
    subprocess.run([ROOT / "scripts/lib/pin-dependencies"], check=True)
    copy_tree()
    built = build()
    if built.returncode != 0:
        sys.exit(f"mutate: the copy does not build:\n{(built.stdout + built.stderr)[-2000:]}")
    passed, output = run(sorted({mutation["test"] for mutation in mutations}))
    if not passed:
        sys.exit(f"mutate: a test fails without a patch:\n{output[-2000:]}")
    left = []
    for mutation in mutations:
        began = time.monotonic()
        outcome = try_one(mutation)
        print(f"{time.monotonic() - began:5.0f} s  {mutation['name']}: {outcome} "
              f"({mutation['test']}: {mutation['rule']})", flush=True)
        if outcome != "killed":
            left.append(mutation["name"])
    print(f"after {time.monotonic() - started:.0f} s: {' '.join(left) or 'all killed'}")
    print(f"{len(mutations) - len(left)} killed, {len(left)} survived")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
