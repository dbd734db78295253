"""scripts/lib/documentation: build the documentation of the libraries."""

import json
import pathlib
import platform
import re
import shutil
import subprocess
import sys

from swireguard_dev.command_line import Parser
from swireguard_dev.project import ROOT

OUTPUT = ROOT / ".build/documentation"
BUILD = ROOT / ".build/debug"
# A module, and the modules that it re-exports types of.
MODULES = {"WireGuard": ("Packets", "WireGuardCrypto"), "WireGuardTestSupport": ()}


def call(*command):
    subprocess.run([str(word) for word in command], check=True, cwd=ROOT)


def extract_symbols(module: str, reexported, directory: pathlib.Path):
    """Writes the symbol graph of a module. SwiftPM's own has no re-exported types."""
    maps = [*ROOT.glob("Sources/*/module.modulemap"), *BUILD.glob("C*.build/module.modulemap")]
    call("swift-symbolgraph-extract", "-module-name", module,
         "-target", f"{platform.machine()}-unknown-linux-gnu", "-I", BUILD / "Modules",
         *[word for path in maps for word in ("-Xcc", f"-fmodule-map-file={path}")],
         "-minimum-access-level", "public", "-output-dir", directory,
         *[f"-experimental-allowed-reexported-modules={','.join(reexported)}"] * bool(reexported))


def snippet(path: pathlib.Path) -> dict:
    """The symbol of a snippet: its code, and the ranges between `// snippet.NAME` and `// snippet.end`."""
    lines, slices, name = [], {}, None
    for line in path.read_text().splitlines():
        if marker := re.fullmatch(r"// snippet\.(\w+)", line):
            if name:
                slices[name] = [slices[name], len(lines)]
            name = None if marker[1] == "end" else marker[1]
            if name:
                slices[name] = len(lines)
        else:
            lines.append(line)
    return {
        "identifier": {"precise": f"$snippet__swireguard.{path.stem}", "interfaceLanguage": "swift"},
        "pathComponents": ["Snippets", path.stem], "names": {"title": path.stem},
        "kind": {"identifier": "swift.snippet", "displayName": "Snippet"},
        "accessLevel": "public", "isVirtual": True,
        "snippet": {"language": "swift", "lines": lines, "slices": slices},
    }


def write_snippets(directory: pathlib.Path):
    """Writes the symbol graph of Snippets, so that articles can include their code."""
    graph = {
        "metadata": {"formatVersion": {"major": 0, "minor": 1, "patch": 0},
                     "generator": "scripts/lib/documentation"},
        "module": {"name": "swireguard", "platform": {}, "isVirtual": True},
        "symbols": [snippet(path) for path in sorted(ROOT.glob("Snippets/*.swift"))],
        "relationships": [],
    }
    (directory / "swireguard-snippets.symbols.json").write_text(json.dumps(graph))


def build(module: str, reexported) -> pathlib.Path:
    symbols = OUTPUT / f"{module}-symbols"
    symbols.mkdir(parents=True)
    extract_symbols(module, reexported, symbols)
    write_snippets(symbols)
    catalog = next(ROOT.glob(f"Sources/{module}/*.docc"))
    call("docc", "convert", catalog, "--additional-symbol-graph-dir", symbols,
         "--output-path", OUTPUT / module, "--fallback-display-name", module,
         "--fallback-bundle-identifier", module, "--warnings-as-errors")
    return OUTPUT / module / "data/documentation" / module.lower()


def missing_exports(pages: pathlib.Path):
    """The re-exported public types without a page."""
    exports = (ROOT / "Sources/WireGuard/Tunnel/Exports.swift").read_text()
    # Exports with a comment are not public.
    for name in re.findall(r"^@_exported import \w+ \w+\.(\w+)$", exports, re.M):
        if not (pages / f"{name.lower()}.json").exists():
            yield name


def main() -> int:
    Parser("documentation").parse_args()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    try:
        call("scripts/lib/pin-dependencies")
        for module in MODULES:
            call("swift", "build", "--target", module)
        pages = {module: build(module, reexported) for module, reexported in MODULES.items()}
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        print(f"documentation: {error}", file=sys.stderr)
        return 1
    missing = list(missing_exports(pages["WireGuard"]))
    if missing:
        print(f"documentation: no pages of {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
