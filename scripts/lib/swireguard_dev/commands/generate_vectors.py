"""scripts/lib/generate-vectors: write the frozen test vectors in Vectors/."""

import json
import sys

from swireguard_dev.command_line import Parser
from swireguard_dev.project import ROOT


def main() -> int:
    parser = Parser("generate-vectors")
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    try:
        from swireguard_dev.paper import vectors
    except ModuleNotFoundError as error:
        sys.exit(f"generate-vectors: the Python package {error.name} is missing: "
                 "scripts/install-dependencies --test")
    stale = []
    for name, content in vectors.files().items():
        path = ROOT / "Vectors" / f"{name}.json"
        text = json.dumps(content, indent=1, ensure_ascii=True) + "\n"
        if not check:
            path.write_text(text, encoding="ascii")
        elif not path.exists() or path.read_text(encoding="ascii") != text:
            stale.append(str(path.relative_to(ROOT)))
    for path in stale:
        print(f"{path} is out of date: scripts/dev vectors writes it", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
