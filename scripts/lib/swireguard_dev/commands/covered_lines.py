"""scripts/lib/covered-lines: print the line coverage of each module."""

import json
import pathlib
import sys

from swireguard_dev.command_line import Parser
from swireguard_dev.project import ROOT

# Percent, by module.
OWED = {"WireGuard": 95, "WireGuardCrypto": 95, "Packets": 95, "Engine": 85, "WireGuardDaemon": 85}
# Much of these is covered only by tests that need root.
OWED_WITH_ROOT = {"WireGuardDaemon"}
SHOWN = 90  # percent; files with less are listed


def main() -> int:
    parser = Parser("covered-lines")
    parser.add_argument("report", nargs="?", type=pathlib.Path)
    parser.add_argument("--no-root", action="store_true")
    options = parser.parse_args()
    path = options.report
    if path is None:
        parser.error("give the path of a coverage report")
    report = json.loads(path.read_text())
    sources = f"{ROOT}/Sources/"
    files = {file["filename"].removeprefix(sources): file["summary"]["lines"]
             for file in report["data"][0]["files"] if file["filename"].startswith(sources)}
    modules = sorted({name.split("/")[0] for name in files} | set(OWED))
    owed = {module: percent for module, percent in OWED.items()
            if not (options.no_root and module in OWED_WITH_ROOT)}
    status = 0
    for module in modules:
        own = {name: lines for name, lines in files.items() if name.startswith(module + "/")}
        count = sum(lines["count"] for lines in own.values())
        covered = sum(lines["covered"] for lines in own.values())
        percent = 100 * covered / max(count, 1)
        missing = percent < owed.get(module, 0)
        print(f"{percent:6.1f} %  {covered:6} of {count:6}  {module}"
              + (f": {owed[module]} % required" if missing else ""))
        status |= missing
        for name, lines in sorted(own.items(), key=lambda item: item[1]["percent"]):
            if lines["percent"] < SHOWN:
                print(f"{lines['percent']:6.1f} %  {lines['covered']:6} of {lines['count']:6}"
                      f"    {name}")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
