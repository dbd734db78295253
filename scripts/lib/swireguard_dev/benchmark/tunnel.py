"""A tunnel of one implementation between two machines, and the resources of its daemons.

            alice                                bob
    wg0  192.168.241.1                   wg0  192.168.241.2
    eth0 10.0.0.1  ───────────────────── eth0 10.0.0.2
"""

import contextlib
import os
import time

from swireguard_dev import processes
from swireguard_dev.benchmark import host
from swireguard_dev.benchmark.failure import Failure
from swireguard_dev.benchmark.interface import NAME, Section, key_pair
from swireguard_dev.machines import Machine, connect

OUTER = ("10.0.0.1", "10.0.0.2")
INNER = ("192.168.241.1", "192.168.241.2")
PORT = 51820


class Tunnel:
    """Two machines with a configured tunnel. Use it in a `with` statement."""

    def __init__(self, implementation, mtu, congestion_control):
        self.implementation = implementation
        self.mtu = mtu
        self.congestion_control = congestion_control
        self.ends = []
        self.outer, self.port = OUTER[1], PORT
        self.public_keys = []

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.alice = stack.enter_context(Machine("alice"))
            self.bob = stack.enter_context(Machine("bob"))
            connect(self.alice, "eth0", self.bob, "eth0", left_addresses=[f"{OUTER[0]}/24"],
                    right_addresses=[f"{OUTER[1]}/24"])
            # iperf3 sets its congestion control after it connects. A socket that connected with BBR, the
            # default of some hosts, would stay paced.
            for machine in (self.alice, self.bob):
                machine.sysctl(ipv4__tcp_congestion_control=host.FIRST_CONGESTION_CONTROL)
            if hasattr(self.implementation, "interface"):
                self.ends = [stack.enter_context(self.implementation.interface(machine))
                             for machine in (self.alice, self.bob)]
                self.configure()
                self.address = INNER[1]
            else:
                self.address = OUTER[1]
            self.await_session()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        return self.stack.__exit__(*exception)

    def configure(self):
        keys = [key_pair(), key_pair()]
        self.public_keys = [public for _, public in keys]
        for number, end in enumerate(self.ends):
            other = 1 - number
            section = Section(keys[other][1], f"{OUTER[other]}:{PORT}", [f"{INNER[other]}/32"])
            end.set(end.text(keys[number][0], PORT, [section]))
            end.machine.ip(f"""
                address add {INNER[number]}/24 dev {NAME}
                link set {NAME} mtu {self.mtu} up""")

    def await_session(self):
        """Pings until the session exists."""
        for _ in range(10):
            if self.alice.attempt("ping", "-n", "-c", 1, "-W", 1, self.address).returncode == 0:
                return
        raise Failure(f"no answer through the tunnel of {self.implementation.name}")

    @property
    def pids(self):
        """Process ids of the daemons; empty for the kernel and the veth pair."""
        return [end.pid for end in self.ends if end.pid is not None]

    def cpu_seconds(self):
        """Processor time of both daemons so far, all threads together."""
        return sum(processes.cpu_seconds(pid) for pid in self.pids)

    def memory(self):
        """Peak resident memory and current private memory in MB, of the daemon with more of each."""
        peaks, private = [], []
        for pid in self.pids:
            peaks.append(processes.memory(pid, "VmHWM:"))
            private.append(processes.memory(pid, "Private_Clean:", "Private_Dirty:",
                                            file="smaps_rollup"))
        return max(peaks) / 1e6, max(private) / 1e6


def machine_cpu_seconds():
    """Seconds in which processors of the host were busy, plus a constant.

    Linux samples busy time at each tick, which misses short bursts. It measures idle time, unless
    `nohz=off`, so busy time is computed from that.
    """
    with open("/proc/stat") as stat:
        total, *lines = stat.read().splitlines()
    idle, waiting, _, _, stolen = map(int, total.split()[4:9])
    processors = sum(line.startswith("cpu") for line in lines)
    return (time.monotonic() * processors
            - (idle + waiting + stolen) / os.sysconf("SC_CLK_TCK"))
