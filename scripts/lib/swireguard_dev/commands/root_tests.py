"""scripts/lib/root-tests: print a regular expression that matches the Swift tests that need root."""

import re

from swireguard_dev.command_line import Parser
from swireguard_dev.project import ROOT

# A test needs root if it contains this check, or calls a function that does, directly or indirectly.
CHECK = re.compile(r"#require\(\s*geteuid\(\) == 0")
SUITE = re.compile(r"^(?:@?\w+ )*(?:struct|class|enum|extension|actor) (\w+)", re.M)
FUNCTION = re.compile(r"(@Test\b(?:(?!\bfunc\b|@Test\b).)*?)?\b(?:func (\w+)|(init)\()", re.S)


def functions(text):
    """(suite, name, whether it is a test, body) of each function in a file."""
    suites = [(match.start(), match[1]) for match in SUITE.finditer(text)]
    found = list(FUNCTION.finditer(text))
    for match, following in zip(found, [*found[1:], None]):
        suite = next((name for start, name in reversed(suites) if start < match.start()), "")
        end = following.start() if following else len(text)
        yield suite, match[2] or "init", match[1] is not None, text[match.end():end]


def needing_root(texts):
    """`Suite/function` of the tests that need root, in the files of one target."""
    every = [function for text in texts for function in functions(text)]
    callees, calls = set(), CHECK
    while True:
        more = {name for _, name, is_test, body in every
                if not is_test and name != "init" and calls.search(body)}
        if more <= callees:
            break
        callees |= more
        calls = re.compile(rf"\b(?:{'|'.join(sorted(callees))})\b *[({{]|{CHECK.pattern}")
    whole = {suite for suite, name, _, body in every if name == "init" and calls.search(body)}
    return {f"{suite}/{name}" for suite, name, is_test, body in every
            if is_test and (suite in whole or calls.search(body))}


def main():
    Parser("root-tests").parse_args()
    tests = set()
    for target in sorted((ROOT / "Tests").glob("*Tests")):
        tests |= {f"{target.name}.{test}" for test in
                  needing_root([path.read_text() for path in target.rglob("*.swift")])}
    # An empty expression would match all tests.
    print("|".join(rf"^{re.escape(test)}\(" for test in sorted(tests)) or "^$")


if __name__ == "__main__":
    main()
