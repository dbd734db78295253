"""The rows of the table and their measurements.

A value is None if the figure does not apply, such as the processor time of a daemon for the kernel.
"""

import ipaddress
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Callable

from swireguard_dev.benchmark import load
from swireguard_dev.benchmark.failure import Failure
from swireguard_dev.benchmark.interface import NAME, Section, key_pair, random_keys
from swireguard_dev.benchmark.system_calls import SystemCallCounter
from swireguard_dev.benchmark.tunnel import machine_cpu_seconds
from swireguard_dev.machines import Machine
from swireguard_dev.processes import resident

STARTS = 20
PEERS = 20_000
FLOODS = {"discarded": "unread", "wrong-mac1": "mac1 wrong", "right-mac1": "mac1 right"}


@dataclass(frozen=True)
class Figure:
    title: str
    unit: str
    digits: int = 2  # after the decimal point
    better: str = "less"


@dataclass(frozen=True)
class Row:
    """measure: (subject, seconds) → the values of the figures.

    The subject is a Tunnel if on_tunnel, and an implementation otherwise. The row takes
    cost × seconds + fixed_cost.
    """

    name: str
    figures: tuple
    measure: Callable
    on_tunnel: bool = True
    cost: float = 1
    fixed_cost: float = 1  # seconds


def throughput(title):
    return Figure(title, "Gbit/s", 2, "more")


def tcp(*options):
    return lambda tunnel, seconds: [load.tcp(tunnel, seconds, *options)]


def small_datagrams(tunnel, seconds):
    received, _ = load.udp(tunnel, seconds, "--bitrate", 0, "--length", 64)
    return [received / 1000]


def datagrams_at_a_gigabit(tunnel, seconds):
    _, lost = load.udp(tunnel, seconds, "--bitrate", "1G", "--length", 1300)
    return [lost]


def flow_beside_floods(tunnel, seconds):
    """The throughput of a flow beside each kind of flood. Needs a daemon."""
    if not tunnel.pids:
        return [None] * len(FLOODS)
    rates = []
    for kind in FLOODS:
        with load.flood(tunnel, kind):
            rates.append(load.tcp(tunnel, seconds))
    return rates


def steady_stream(tunnel, seconds):
    """Busy cores: of both daemons, and of the whole machine."""
    machine, daemons = machine_cpu_seconds(), tunnel.cpu_seconds()
    begun = time.monotonic()
    rate = load.tcp(tunnel, seconds, "--bitrate", "500M")
    elapsed = time.monotonic() - begun
    if rate < 0.475:
        raise Failure(f"{1000 * rate:.0f} Mbit/s arrived instead of 500")
    machine = (machine_cpu_seconds() - machine) / elapsed
    return [(tunnel.cpu_seconds() - daemons) / elapsed if tunnel.pids else None, machine]


def round_trip_under_load(tunnel, seconds):
    with load.beside(tunnel, seconds + 6):  # pings take longer on a busy machine
        return [load.round_trip(tunnel, seconds, interval=0.02)]


def calls_of_a_flow(tunnel, seconds):
    if not tunnel.pids:
        return [None]
    with SystemCallCounter(tunnel.alice, tunnel.pids) as counter:
        received = load.run(tunnel, seconds)["sum_received"]["bytes"]
        return [counter.count() / (received / 65536)]


def memory(tunnel, _):
    return tunnel.memory() if tunnel.pids else [None, None]


# Rows without traffic: one interface on one machine.


def many_peers(implementation, _):
    private, _ = key_pair()
    first = int(ipaddress.ip_address("10.0.0.0"))
    sections = [
        Section(key, f"192.0.2.{number % 250 + 1}:{number + 1000}",
                [f"{ipaddress.ip_address(first + number)}/32"])
        for number, key in enumerate(random_keys(PEERS))]
    with Machine("hub") as machine, implementation.interface(machine) as interface:
        machine.ip(f"link set {NAME} up")
        text = interface.text(private, 51820, sections)
        before = interface.pid and resident(interface.pid)
        elapsed = timed(lambda: interface.set(text))
        if interface.pid is None:
            return [elapsed, None]
        return [elapsed, (resident(interface.pid) - before) / 1024 / PEERS]


def many_prefixes(implementation, _):
    """65 280 IPv4 and as many IPv6 prefixes on one peer."""
    prefixes = [prefix for first in range(255) for second in range(256)
                for prefix in (f"{first}.{second}.0.0/16", f"fd00:{first:x}:{second:x}::1/128")]
    private, _ = key_pair()
    with Machine("hub") as machine, implementation.interface(machine) as interface:
        text = interface.text(private, 51820, [Section(random_keys(1)[0], None, prefixes)])
        setting = timed(lambda: interface.set(text))
        answers = []
        getting = timed(lambda: answers.append(interface.get()))
        count = interface.prefix_count(answers[0])
        if count != len(prefixes):
            raise Failure(f"{len(prefixes)} prefixes were set, get returned {count}")
        return [setting, getting]


def start(implementation, _):
    if not implementation.has_daemon:
        return [None]
    with Machine("alice") as machine:
        output = machine.run(sys.executable, "-m", "swireguard_dev.benchmark.start_time",
                             STARTS, implementation.program, NAME,
                             environment=implementation.environment, timeout=60,
                             leaves_processes=True)  # some daemons do not end
    # The daemon may log before the last line.
    return [1000 * float(output.splitlines()[-1])]


def timed(work):
    begun = time.monotonic()
    try:
        work()
    except subprocess.TimeoutExpired:
        raise Failure("it took more than a minute") from None
    return time.monotonic() - begun


ROWS = [
    Row("tcp-1", (throughput("TCP, 1 flow"),), tcp()),
    Row("tcp-1-back", (throughput("TCP, 1 flow, back"),), tcp("--reverse")),
    Row("tcp-8", (throughput("TCP, 8 flows"),), tcp("--parallel", 8)),
    Row("tcp-8-back", (throughput("TCP, 8 flows, back"),),
        tcp("--parallel", 8, "--reverse")),
    Row("udp-64", (Figure("UDP, 64 bytes, received", "1000/s", 1, "more"),),
        small_datagrams),
    Row("udp-1300", (Figure("UDP, 1300 bytes at 1 Gbit/s, lost", "%"),), datagrams_at_a_gigabit),
    Row("cpu", (Figure("CPU at 500 Mbit/s, both daemons", "cores", 3),
                Figure("CPU at 500 Mbit/s, the whole machine", "cores", 3)), steady_stream),
    Row("ping-idle", (Figure("round trip, idle", "ms", 3),),
        lambda tunnel, seconds: [load.round_trip(tunnel, seconds)]),
    Row("ping-load", (Figure("round trip beside a TCP flow", "ms", 3),), round_trip_under_load,
        fixed_cost=3),
    Row("calls", (Figure("system calls per 64 KiB of TCP, both daemons", "calls"),),
        calls_of_a_flow),
    Row("flood", tuple(throughput(f"TCP beside 20 000 initiations/s, {what}")
                       for what in FLOODS.values()), flow_beside_floods, cost=3, fixed_cost=3),
    Row("memory", (Figure("memory after these rows, peak resident", "MB", 1),
                   Figure("memory after these rows, private", "MB", 1)), memory, cost=0,
        fixed_cost=0),
    Row("peers", (Figure("20 000 peers, set", "s", 3), Figure("20 000 peers, memory of each", "KiB")),
        many_peers, on_tunnel=False, cost=0, fixed_cost=2),
    Row("prefixes", (Figure("130 560 prefixes, set", "s", 3),
                     Figure("130 560 prefixes, get", "s", 3)), many_prefixes,
        on_tunnel=False, cost=0, fixed_cost=2),
    Row("start", (Figure("start to an answering socket", "ms", 1),), start, on_tunnel=False,
        cost=0),
]
