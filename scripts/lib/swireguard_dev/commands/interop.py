"""scripts/interop: connect SwireGuard to each other implementation, and print a table."""

import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

from swireguard_dev.command_line import Parser, require_root
from swireguard_dev.project import ROOT

RESULTS = ROOT / ".build/interop"
DAEMONS, KERNEL = RESULTS / "daemons.xml", ROOT / ".build/kernel-interop/kernel.xml"

# The other end, and the names of its tests: as responder, and as initiator.
PEERS = {
    "SwireGuard": ("ours with ours", "ours with ours"),
    "wireguard-go, Debian's newest": ("ours dials wireguard-go", "wireguard-go dials ours"),
    "wireguard-go of 2022 (Debian 12)": ("ours dials wireguard-go of 2022",
                                         "wireguard-go of 2022 dials ours"),
    "the kernel (Debian 12's Linux 6.1)": ("ours dials the kernel", "the kernel dials ours"),
    "the Python peer of the tests": ("test_the_daemon_initiates_for_a_ping_and_sends_it_first",
                                     "test_the_daemon_answers_a_handshake"),
}
COLUMNS = [(outer, preshared) for outer in (4, 6) for preshared in (False, True)]


def main():
    parser = Parser("interop")
    parser.add_argument("--show", nargs="+", metavar="FILE")
    files = parser.parse_args().show
    if not files:
        require_root("interop")
        run_all()
        files = [DAEMONS, KERNEL]
    cells = read(files)
    print(table(cells))
    missing = [cell for cell in every_cell() if cell not in cells]
    if missing:
        print(f"interop: no results for {len(missing)} cells", file=sys.stderr)
    sys.exit(bool(missing) or not all(cells.values()))


def run_all():
    RESULTS.mkdir(parents=True, exist_ok=True)
    for file in (DAEMONS, KERNEL):
        file.unlink(missing_ok=True)
    subprocess.run([ROOT / "scripts/install-dependencies", "--guest"], check=True)
    subprocess.run([ROOT / "scripts/build"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([ROOT / "scripts/fetch-peer"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([ROOT / ".build/venv/bin/python", "-m", "pytest", "-v", "--tb=short",
                    f"--junitxml={DAEMONS}", "-k",
                    "carries_everything or answers_a_handshake or initiates_for_a_ping",
                    "Tests/EndToEnd/test_interop.py", "Tests/EndToEnd/test_paper_peer.py"],
                   cwd=ROOT)
    subprocess.run([ROOT / "scripts/kernel-interop", "--filter", "carries_everything"])


def every_cell():
    return [(name, outer, preshared) for names in PEERS.values() for name in names
            for outer, preshared in COLUMNS]


def read(files):
    """Whether each cell passed, by (name, outer IP version, preshared key)."""
    cells = {}
    for file in map(pathlib.Path, files):
        if not file.exists():
            continue
        for case in ElementTree.parse(file).iter("testcase"):
            if found := cell(case.get("name")):
                cells[found] = not any(case.find(each) is not None
                                       for each in ("failure", "error", "skipped"))
    return cells


def cell(name):
    if match := re.fullmatch(r"test_a_tunnel_carries_everything"
                             r"\[(.*)-outer IPv([46])-(no )?preshared key\]", name):
        return match[1], int(match[2]), match[3] is None
    if match := re.fullmatch(r"(\w+)\[(plain|psk)-v([46])\]", name):
        return match[1], int(match[3]), match[2] == "psk"
    return None


def table(cells):
    """In Markdown: one row per peer and role, one column per outer IP version and preshared key."""
    said = {True: "yes", False: "**no**", None: "not run"}
    rows = [["the other end", "who dials", *(f"IPv{outer}{', psk' * preshared}"
                                             for outer, preshared in COLUMNS)]]
    for peer, (answers, dials) in PEERS.items():
        roles = {"we": answers, "it": dials} if answers != dials else {"one": answers}
        for role, name in roles.items():
            rows.append([peer, role, *(said[cells.get((name, *column))] for column in COLUMNS)])
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
