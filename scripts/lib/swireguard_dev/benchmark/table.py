"""The results as a Markdown table for the terminal."""

from swireguard_dev.benchmark.implementation import CABLE, OURS
from swireguard_dev.benchmark.results import row_of


def text(results):
    names = results.names()
    others = [name for name in names if name not in (OURS, CABLE)] if OURS in names else []
    head = ["", *(f"ours ÷ {name}" for name in others), *names]
    rows = [[title(entry), *(ratio(results, key, name) for name in others),
             *(cell(results, key, name) for name in names)]
            for key, entry in results.figures.items()]
    warning = [f"!!!  {results.host['warning']}"] if "warning" in results.host else []
    lines = [*warning, "", *aligned([head, *rows])] if warning else aligned([head, *rows])
    lines += ["", "Medians (minimum–maximum).", *conditions(results)]
    lines += [f"{name} failed at {row}: {reason}" for row, failures in results.failures.items()
              for name, reason in failures.items()]
    lines += ["", *warning] if warning else []
    return "\n".join(lines) + "\n"


def title(entry):
    return f"{entry['title']}, {entry['unit']}"


def ratio(results, key, name):
    value = results.ratio(key, name)
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def cell(results, key, name):
    entry = results.figures[key]
    samples = entry["samples"].get(name)
    if not samples:
        return "failed" if name in results.failures.get(row_of(key), {}) else "–"
    digits = entry["digits"]
    middle = f"{results.median(key, name):.{digits}f}"
    if len(samples) == 1:
        return middle
    return f"{middle} ({min(samples):.{digits}f}–{max(samples):.{digits}f})"


def aligned(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = [":" + "-" * (width - 1) if number == 0 else "-" * (width - 1) + ":"
            for number, width in enumerate(max(width, 2) for width in widths)]
    return ["| " + " | ".join(
        cell.ljust(width) if number == 0 else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(row, widths))) + " |"
        for row in [rows[0], rule, *rows[1:]]]


def rounds_text(results):
    """The number of rounds: the largest number of samples."""
    counts = [len(samples) for entry in results.figures.values()
              for samples in entry["samples"].values()]
    most = max(counts, default=0)
    return "1 round" if most == 1 else f"{most} rounds"


def host_lines(results):
    host = results.host
    return [
        f"{host['processors']} processors {host['processor']}, {host['memory']}, "
        f"virtualization: {host['virtualization']}; {host['distribution']}, {host['kernel']}",
        f"two network namespaces and a veth pair; both ends, iperf3 and the kernel's TCP share the "
        f"processors; MTU {host['mtu']}, congestion control {host['congestion control']}, "
        f"{host['iperf3']}; {rounds_text(results)} in alternating order",
    ]


def conditions(results):
    """Lines about the host and each implementation."""
    lines = host_lines(results)
    for name in results.names():
        found = results.implementations[name]
        details = [found["version"], *(f"{key} {found[key]}" for key in ("commit", "aead")
                                       if key in found)]
        details += [f"{key} {value}" for key, value in found.get("interface", {}).items()]
        lines.append(f"{name}: {', '.join(details)}")
    return lines
