"""`scripts/benchmark` measures, adds to earlier results, and leaves nothing behind.

The test checks that figures are numbers. Judging them needs an idle machine.
"""

import json
import math
import os
import signal
import subprocess
import time
import xml.etree.ElementTree

import pytest

from swireguard_dev.project import OURS, ROOT, WIREGUARD_GO

SCRIPT = ROOT / "scripts" / "benchmark"
DAEMONS = ["swireguard-go", "wireguard-go"]
ENVIRONMENT = {**os.environ, "SWIREGUARD": OURS, "WIREGUARD_GO": WIREGUARD_GO}


def benchmark(*arguments):
    return subprocess.run([SCRIPT, *map(str, arguments)], capture_output=True, text=True,
                          env=ENVIRONMENT, timeout=240)


def medians_by_title(output):
    """The cells of the table, by the first cell of each row."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in output.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in rows[2:]}


@pytest.mark.long
@pytest.mark.limit(300)
def test_every_figure_of_a_quick_run_is_a_number(tmp_path):
    file, picture = tmp_path / "figures.json", tmp_path / "figures.svg"
    once = ("--quick", "--seconds", 1, "--json", file)
    first = benchmark(*once, "--rows", "tcp-1,udp-64,ping,calls,memory")
    assert first.returncode == 0, first.stderr + first.stdout
    second = benchmark(*once, "--add", "--rows", "start,prefixes", "--plot", picture)
    assert second.returncode == 0, second.stderr + second.stdout

    figures = json.loads(file.read_text())["figures"]
    assert {key.partition(".")[0] for key in figures} == {
        "tcp-1", "tcp-1-back", "udp-64", "ping-idle", "ping-load", "calls", "memory", "start",
        "prefixes"}
    for key, figure in figures.items():
        assert set(DAEMONS) <= set(figure["samples"]), key
        for name, samples in figure["samples"].items():
            assert len(samples) == 1, (key, name)
            assert math.isfinite(samples[0]) and samples[0] > 0, (key, name)

    table = medians_by_title(second.stdout)
    assert len(table) == len(figures)
    assert all(float(row[0]) > 0 for row in table.values()), "the ratios"
    assert benchmark("--show", file).stdout == second.stdout
    drawn = xml.etree.ElementTree.parse(picture).getroot()
    titles = {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {figure["title"] for figure in figures.values()} <= titles
    told = "\n".join(titles)
    assert "congestion control" in told and json.loads(file.read_text())["host"]["kernel"] in told


@pytest.mark.parametrize("path, value", [
    (("host",), {}), (("implementations", "veth"), "a cable"), (("figures",), []),
    (("figures", "tcp-1.0", "digits"), "many"), (("figures", "tcp-1.0", "samples", "veth"), []),
    (("figures", "tcp-1.0", "samples", "veth"), ["fast"]), (("failures",), {"tcp-1": {"who": "x"}})])
def test_a_results_file_with_invalid_parts_is_refused(tmp_path, path, value):
    content = json.loads((ROOT / "Benchmarks/results/tunnels.json").read_text())
    part = content
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    file = tmp_path / "figures.json"
    file.write_text(json.dumps(content))
    result = benchmark("--show", file)
    assert (result.returncode, result.stdout) == (1, "")
    assert "does not contain valid results" in result.stderr and "Traceback" not in result.stderr


def test_figures_of_an_emulated_processor_carry_a_warning(tmp_path):
    file, processor = tmp_path / "figures.json", tmp_path / "cpuinfo"
    processor.write_text("model name\t: QEMU TCG CPU version 2.5+\n")
    result = subprocess.run(
        ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /proc/cpuinfo && exec "$@"', processor,
         SCRIPT, "--quick", "--seconds", "1", "--rows", "ping-idle", "--only", "swireguard-go",
         "--json", file], capture_output=True, text=True, env=ENVIRONMENT, timeout=50)
    assert result.returncode == 0, result.stderr + result.stdout
    lines = result.stdout.splitlines()
    assert lines[0] == lines[-1] and lines[0].startswith("!!!  THESE FIGURES MEAN NOTHING")
    assert json.loads(file.read_text())["host"]["warning"] in lines[0]
    assert benchmark("--show", file).stdout == result.stdout


def test_a_missing_peer_is_named():
    result = benchmark("--peer", "/nowhere/wireguard")
    assert result.returncode == 1
    assert "/nowhere/wireguard" in result.stderr


def test_a_peer_that_fails_to_start_fails_the_run():
    result = benchmark("--quick", "--rows", "ping-idle", "--peer", "/bin/false", "--only",
                       "swireguard-go,false")
    assert result.returncode == 1
    assert "/bin/false does not start" in result.stdout


def test_a_stopped_benchmark_leaves_no_process():
    process = subprocess.Popen([SCRIPT, "--rows", "tcp-8", "--only", "swireguard-go,wireguard-go"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env=ENVIRONMENT)
    begun = []
    deadline = time.monotonic() + 20
    while not any("iperf3" in command for command in begun):
        assert process.poll() is None and time.monotonic() < deadline, "no traffic"
        time.sleep(0.05)
        begun = list(descendants(process.pid).values())
    family = descendants(process.pid)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=20)[0]
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM" in output
    deadline = time.monotonic() + 5
    while left := [command for pid, command in family.items() if is_running(pid, command)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def descendants(pid):
    """The command lines of all descendants of a process, by pid."""
    children = {}
    for entry in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as stat, open(f"/proc/{entry}/cmdline") as line:
                parent = int(stat.read().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append((int(entry), line.read()))
        except OSError:
            continue
    found, waiting = {}, [pid]
    while waiting:
        for child, command in children.get(waiting.pop(), []):
            found[child] = command
            waiting.append(child)
    return found


def is_running(pid, command):
    """True if this is still the same process; a zombie's command line is empty."""
    try:
        with open(f"/proc/{pid}/cmdline") as line:
            return line.read() == command != ""
    except OSError:
        return False
