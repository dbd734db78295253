"""scripts/lib/check-pitfalls: check that each rule in Tests/pitfalls.md has a test that exists."""

import pathlib
import re
import sys

from swireguard_dev.command_line import Parser
from swireguard_dev.project import ROOT

MOST_WITHOUT_TEST = 5
WITHOUT_TEST = "Without a test"


def swift_tests(root: pathlib.Path) -> set[str]:
    """`Suite.function` of all functions with the attribute @Test."""
    # Suites are the types without indentation.
    words = re.compile(
        r"^(?:@?\w+ )*(?:struct|class|enum|extension) (\w+)|(@Test)\b|\bfunc (\w+)", re.M)
    found = set()
    for path in root.glob("Tests/**/*.swift"):
        suite, is_test = "", False
        for suite_name, attribute, function in words.findall(path.read_text()):
            if attribute:
                is_test = True
            elif function:
                if is_test:
                    found.add(f"{suite}.{function}")
                is_test = False
            else:
                suite, is_test = suite_name, False
    return found


def python_tests(root: pathlib.Path) -> set[str]:
    """`test_file.py::test_name` of all test functions."""
    return {
        f"{path.name}::{name}"
        for path in root.glob("Tests/**/test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.M)
    }


def complaints(text: str, tests: set[str]):
    """Errors in a table, as (line number, message)."""
    section, rules, without = "", {}, 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            section = line.lstrip("# ")
        elif section == WITHOUT_TEST and line.startswith("- "):
            without += 1
            rule, _, reason = line[2:].partition(": ")
            if not reason.strip():
                yield number, f"reason missing: {rule}"
            if without > MOST_WITHOUT_TEST:
                yield number, f"more than {MOST_WITHOUT_TEST} rules without a test"
        elif line.startswith("|") and not re.fullmatch(r"[|\-: ]+|\| rule \| tests \|", line):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if len(cells) != 2:
                yield number, f"{len(cells)} cells instead of 2"
                continue
            rule, named = cells[0], re.findall(r"`([^`]+)`", cells[1])
            if rule in rules:
                yield number, f"duplicate of line {rules[rule]}: {rule}"
            rules[rule] = number
            if not named:
                yield number, f"test missing: {rule}"
            for name in named:
                if name not in tests:
                    yield number, f"test {name} does not exist"
    if not rules:
        yield 0, "the table is empty"


def main() -> int:
    parser = Parser("check-pitfalls")
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=ROOT)
    root = parser.parse_args().root
    table = root / "Tests/pitfalls.md"
    tests = swift_tests(root) | python_tests(root)
    wrong = list(complaints(table.read_text(), tests))
    for number, complaint in wrong:
        print(f"{table.relative_to(root)}:{number}: {complaint}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
