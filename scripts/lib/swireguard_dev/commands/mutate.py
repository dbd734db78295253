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
COPIED = ("Package.swift", "Sources", "Tests", "Snippets", "Vectors", "Benchmarks")
KEYS = {"name", "rule", "file", "search", "replace", "test"}
# Flags of the processor that runs what is patched.
OPTIONAL = {"needs"}


def complaints(mutations):
    """What is wrong with the table."""
    tests, names = swift_tests(ROOT), set()
    for mutation in mutations:
        name = mutation.get("name", "?")
        if set(mutation) - OPTIONAL != KEYS:
            yield f"{name}: it has not the keys {', '.join(sorted(KEYS))}"
            continue
        if name in names:
            yield f"{name}: the name is there twice"
        names.add(name)
        path = ROOT / mutation["file"]
        times = path.read_text().count(mutation["search"]) if path.is_file() else 0
        if times != 1:
            yield f"{name}: what it searches is {times} times in {mutation['file']}"
        if mutation["search"] == mutation["replace"]:
            yield f"{name}: it changes nothing"
        if mutation["test"] not in tests:
            yield f"{name}: there is no test {mutation['test']}"


def runnable(mutations):
    """Those whose code this processor runs; says which it does not."""
    flags = set(pathlib.Path("/proc/cpuinfo").read_text().split())
    for mutation in mutations:
        lacking = set(mutation.get("needs", "").split()) - flags
        if lacking:
            print(f"        {mutation['name']}: left out, as this processor has no "
                  f"{', '.join(sorted(lacking))}")
        else:
            yield mutation


def copy_tree():
    """A copy to break. What is the same already is left alone, so that only what changed is built."""
    sound = {path.relative_to(ROOT) for name in COPIED
             for path in [ROOT / name, *(ROOT / name).rglob("*")] if path.is_file()}
    old = {path.relative_to(COPY) for name in COPIED
           for path in [COPY / name, *(COPY / name).rglob("*")] if path.is_file()}
    for name in old - sound:
        (COPY / name).unlink()
    for name in sound:
        content = (ROOT / name).read_bytes()
        if name not in old or (COPY / name).read_bytes() != content:
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            (COPY / name).write_bytes(content)


def build():
    return subprocess.run(
        ["swift", "build", "--build-tests", "--package-path", COPY], capture_output=True, text=True)


def run(tests):
    """Runs tests; returns whether they passed, and what was said."""
    pattern = "|".join(rf"\.{suite}/{function}\("
                       for suite, function in (test.split(".") for test in tests))
    try:
        result = subprocess.run(
            ["swift", "test", "--skip-build", "--disable-xctest", "--package-path", COPY,
             "--filter", pattern], capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return False, "it did not come to its end"
    said = result.stdout + result.stderr
    # A test that traps says nothing more. Anything else that is no verdict is none of a test's.
    ended = re.search(r"Test run with [1-9]", said)
    if not ended and "unexpected signal" not in said:
        sys.exit(f"mutate: no test was run for {', '.join(tests)}:\n{said[-2000:]}")
    return result.returncode == 0, said


def try_one(mutation):
    """Builds and tests one patch; returns what became of it."""
    path = COPY / mutation["file"]
    sound = path.read_text()
    path.write_text(sound.replace(mutation["search"], mutation["replace"]))
    try:
        built = build()
        if built.returncode != 0:
            errors = re.findall(r"error: .*", built.stdout + built.stderr)
            return "does not build: " + "; ".join(dict.fromkeys(errors))
        return "survived" if run([mutation["test"]])[0] else "killed"
    finally:
        path.write_text(sound)


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
        sys.exit(f"mutate: there is no {', '.join(sorted(unknown))}")
    # Left out before some are chosen, so that they are as many everywhere.
    mutations = list(runnable(mutations))
    if options.names:
        mutations = [mutation for mutation in mutations if mutation["name"] in options.names]
    elif options.some:
        first = datetime.date.today().toordinal() * options.some
        mutations = [mutations[(first + number) % len(mutations)]
                     for number in range(min(options.some, len(mutations)))]

    if not mutations:
        sys.exit("mutate: there is nothing to break that this processor runs")
    started = time.monotonic()
    copy_tree()
    built = build()
    if built.returncode != 0:
        sys.exit(f"mutate: the copy does not build:\n{(built.stdout + built.stderr)[-2000:]}")
    passed, said = run(sorted({mutation["test"] for mutation in mutations}))
    if not passed:
        sys.exit(f"mutate: a test fails without any patch:\n{said[-2000:]}")
    left = []
    for mutation in mutations:
        began = time.monotonic()
        outcome = try_one(mutation)
        print(f"{time.monotonic() - began:5.0f} s  {mutation['name']}: {outcome} "
              f"({mutation['test']}: {mutation['rule']})", flush=True)
        if outcome != "killed":
            left.append(mutation["name"])
    print(f"after {time.monotonic() - started:.0f} s: {' '.join(left) or 'none left'}")
    print(f"{len(mutations) - len(left)} killed, {len(left)} survived")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
