"""The row `idle`: system calls of idle daemons, all measured at the same time."""

import contextlib
import ipaddress
import time

from swireguard_dev.benchmark.interface import NAME, Section, key_pair, random_keys
from swireguard_dev.benchmark.rows import Figure
from swireguard_dev.benchmark.system_calls import SystemCallCounter
from swireguard_dev.machines import Machine

NAME_OF_ROW = "idle"
PEERS = 1000


def figure(seconds):
    return Figure(f"system calls in {seconds} idle seconds, {PEERS} peers", "calls", 0)


def measure(implementations, seconds, settle):
    """System calls by implementation, with the interface up and no traffic."""
    private, _ = key_pair()
    first = int(ipaddress.ip_address("10.0.0.0"))
    sections = [Section(key, f"192.0.2.1:{number + 1000}",
                        [f"{ipaddress.ip_address(first + number)}/32"])
                for number, key in enumerate(random_keys(PEERS))]
    with contextlib.ExitStack() as stack:
        pids = {}
        for implementation in implementations:
            machine = stack.enter_context(Machine("hub"))
            interface = stack.enter_context(implementation.interface(machine))
            interface.set(interface.text(private, 51820, sections))
            machine.ip(f"link set {NAME} up")
            pids[implementation.name] = interface.pid
        time.sleep(settle)
        counters = {name: stack.enter_context(SystemCallCounter(machine, [pid]))
                    for name, pid in pids.items()}
        time.sleep(seconds)
        return {name: counter.count() for name, counter in counters.items()}
