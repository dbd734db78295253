"""The results as SVG: a panel for each figure, with a bar for each implementation."""

from html import escape
from textwrap import wrap

from swireguard_dev.benchmark.implementation import CABLE, KERNEL, OURS
from swireguard_dev.benchmark.results import row_of
from swireguard_dev.benchmark.table import host_lines

COLUMNS, PANEL, BAR, STEP, TITLE, MARGIN, LINE = 3, 330, 13, 19, 40, 16, 15
LABEL, VALUE = 128, 62  # widths to the left and right of a bar
COLOURS = {OURS: "#e8502f", KERNEL: "#4f9d5d", CABLE: "#b8bcc2"}
OTHERS = ["#4a7fc1", "#8a6bb8", "#c09a3e", "#5aa7a7"]


def svg(results):
    names = results.names()
    colours = dict(zip((name for name in names if name not in COLOURS), OTHERS * len(names)))
    colours.update(COLOURS)
    keys = [key for key, entry in results.figures.items() if entry["samples"]]
    height = TITLE + STEP * len(names) + 12
    lines = -(-len(keys) // COLUMNS)
    footer = [part for line in host_lines(results) for part in wrap(line, 165)]
    bottom = MARGIN + lines * height
    width, total = COLUMNS * PANEL + 2 * MARGIN, bottom + LINE * len(footer) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" width="{width}" '
        f'height="{total}" font-family="Helvetica, Arial, sans-serif" font-size="11" '
        'fill="#24292f">',
        f'<rect width="{width}" height="{total}" fill="#ffffff"/>']
    for number, key in enumerate(keys):
        x = MARGIN + number % COLUMNS * PANEL
        y = MARGIN + number // COLUMNS * height
        parts += [f'<g transform="translate({x} {y})">', *panel(results, key, names, colours),
                  '</g>']
    parts += [f'<text x="{MARGIN}" y="{bottom + LINE * (number + 1)}" fill="#6e7781">{escape(line)}'
              '</text>' for number, line in enumerate(footer)]
    return "\n".join([*parts, "</svg>\n"])


def panel(results, key, names, colours):
    entry = results.figures[key]
    parts = [
        f'<text x="0" y="13" font-weight="bold" font-size="12">{escape(entry["title"])}</text>',
        f'<text x="0" y="28" fill="#6e7781">{escape(entry["unit"])}, {entry["better"]} is better'
        '</text>']
    room = PANEL - LABEL - VALUE - 12
    # The bare veth pair can be much faster than all tunnels. Its bar is then cut off.
    tunnels = [max(samples) for name, samples in entry["samples"].items() if name != CABLE]
    most = max(tunnels or entry["samples"][CABLE]) or 1
    for number, name in enumerate(names):
        y = TITLE + STEP * number
        middle, samples = results.median(key, name), entry["samples"].get(name)
        if middle is None and name not in results.failures.get(row_of(key), {}):
            continue
        parts.append(f'<text x="{LABEL - 6}" y="{y + 10}" text-anchor="end">{escape(short(name))}'
                     '</text>')
        if middle is None:
            parts.append(f'<text x="{LABEL}" y="{y + 10}" fill="#6e7781">failed</text>')
            continue
        length = min(middle / most, 1) * room
        parts.append(f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" '
                     f'fill="{colours[name]}"/>')
        end = LABEL + length
        if middle > most:
            parts.append(f'<path d="M{end - 9:.1f} {y + BAR + 1} l4 -{BAR + 2} h3 l-4 {BAR + 2} z" '
                         'fill="#ffffff"/>')
        elif len(samples) > 1:
            low, high = (LABEL + min(value / most, 1) * room
                         for value in (min(samples), max(samples)))
            parts.append(f'<path d="M{low:.1f} {y + BAR / 2} H{high:.1f} M{low:.1f} {y + 3} v7 '
                         f'M{high:.1f} {y + 3} v7" stroke="#24292f" fill="none"/>')
            end = max(end, high)
        parts.append(f'<text x="{end + 5:.1f}" y="{y + 10}">{middle:.{entry["digits"]}f}</text>')
    return parts


def short(name):
    return name if len(name) <= 17 else "…" + name[-16:]
