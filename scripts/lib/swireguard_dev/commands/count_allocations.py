"""scripts/count-allocations: count allocations and reference counting on the packet path."""

import pathlib
import struct
import subprocess
import sys
import tempfile
import time

from swireguard_dev.command_line import Parser, require_root
from swireguard_dev.daemon import Daemon, Keys
from swireguard_dev.machines import Machine, connect
from swireguard_dev.project import ROOT

SCRATCH = ROOT / ".build" / "allocations"
COUNTERS = ["allocations", "frees", "objects", "retains", "releases", "accesses"]
RECORD = struct.Struct("=" + "Q" * (1 + len(COUNTERS)))

TRAFFIC = [
    ("TCP, one flow", ["iperf3", "-c", "10.0.0.2", "-t", "3"]),
    ("TCP, eight flows back", ["iperf3", "-c", "10.0.0.2", "-t", "3", "-P", "8", "-R"]),
    ("UDP, 64 bytes", ["iperf3", "-c", "10.0.0.2", "-t", "3", "-u", "-b", "0", "-l", "64"]),
    ("UDP, 1300 bytes", ["iperf3", "-c", "10.0.0.2", "-t", "3", "-u", "-b", "500M", "-l", "1300"]),
    ("ping, one by one", ["ping", "-q", "-c", "1000", "-i", "0.002", "10.0.0.2"]),
]


def build():
    program = ["swift", "build", "--configuration", "release", "--product", "swireguard-go",
               "--scratch-path", str(SCRATCH)]
    subprocess.run([ROOT / "scripts/lib/pin-dependencies"], check=True)
    subprocess.run(program, cwd=ROOT, check=True, stdout=sys.stderr)
    library = SCRATCH / "count.so"
    subprocess.run(["clang", "-O2", "-Wall", "-shared", "-fPIC", "-o", str(library),
                    str(ROOT / "Benchmarks" / "AllocationCount" / "count.c")], check=True)
    place = subprocess.run([*program, "--show-bin-path"], cwd=ROOT, check=True, text=True,
                           capture_output=True).stdout.strip()
    return f"{place}/swireguard-go", library


class Counted:
    """A daemon that writes counts of its calls to a file."""

    def __init__(self, machine, program, library, directory):
        self.machine = machine
        self.file = pathlib.Path(directory) / machine.name
        self.daemon = Daemon(machine, program, environment={
            "LOG_LEVEL": "error", "LD_PRELOAD": str(library), "ALLOCATION_COUNTS": str(self.file)})

    def counts(self):
        """The sums over all workers, by the names in COUNTERS."""
        sums = [0] * len(COUNTERS)
        for thread, *counters in RECORD.iter_unpack(self.file.read_bytes()):
            name = pathlib.Path(f"/proc/{self.daemon.pid}/task/{thread}/comm")
            if thread and name.exists() and name.read_text().strip() == "worker":
                sums = [one + other for one, other in zip(sums, counters)]
        return dict(zip(COUNTERS, sums))

    def packets(self):
        """The number of packets through the interface. A super-packet counts as one."""
        for line in self.machine.run("cat", "/proc/net/dev").splitlines():
            name, _, fields = line.partition(":")
            if name.strip() == "wg0":
                fields = fields.split()
                return int(fields[1]) + int(fields[9])
        raise RuntimeError("wg0 does not exist")


def configure(left, right):
    keys = Keys(), Keys()
    for end, other, number in [(left, 1, 1), (right, 0, 2)]:
        end.daemon.wg("set", "listen-port", "51820", "private-key", "/dev/stdin", "peer",
                      keys[other].public, "allowed-ips", f"10.0.0.{3 - number}/32", "endpoint",
                      f"192.0.2.{3 - number}:51820", input=keys[number - 1].private)
        end.machine.ip(f"address add 10.0.0.{number}/24 dev wg0\nlink set wg0 up")


def measure(ends, command):
    before = [(end.counts(), end.packets()) for end in ends]
    ends[0].machine.run(*command, timeout=60)
    time.sleep(0.2)
    after = [(end.counts(), end.packets()) for end in ends]
    packets = sum(new[1] - old[1] for old, new in zip(before, after))
    calls = {name: sum(new[0][name] - old[0][name] for old, new in zip(before, after))
             for name in COUNTERS}
    return packets, calls


def main():
    Parser("count-allocations").parse_args()
    require_root("count-allocations")
    try:
        program, library = build()
    except subprocess.CalledProcessError:
        sys.exit("count-allocations: the daemon does not build")
    is_clean = True
    with tempfile.TemporaryDirectory() as directory, Machine("left") as one, Machine("right") as two:
        connect(one, "eth0", two, "eth0", ["192.0.2.1/24"], ["192.0.2.2/24"])
        ends = [Counted(machine, program, library, directory) for machine in (one, two)]
        with ends[0].daemon, ends[1].daemon:
            configure(*ends)
            server = two.popen("iperf3", "-s", stdout=subprocess.DEVNULL)
            one.run("ping", "-q", "-c", "3", "-i", "0.2", "10.0.0.2")
            print(f"{'calls by workers, both ends':32}{'packets':>10}"
                  + "".join(f"{name:>13}" for name in COUNTERS))
            for name, command in TRAFFIC:
                packets, calls = measure(ends, command)
                print(f"{name:32}{packets:10}" + "".join(f"{calls[key]:13}" for key in COUNTERS),
                      flush=True)
                is_clean = is_clean and packets > 0 and not any(calls.values())
            server.terminate()
    if not is_clean:
        sys.exit("count-allocations: the packet path allocates or counts references")
    print("no calls on the packet path")


if __name__ == "__main__":
    main()
