"""scripts/over-rate: send a daemon more than it can process, and check its memory."""

import multiprocessing
import random
import socket
import time

from swireguard_dev.capture import Capture, source, udp_payload
from swireguard_dev.command_line import Parser, positive_seconds, require_root
from swireguard_dev.daemon import to_hex
from swireguard_dev.datagrams import UDP_SEGMENT, initiation
from swireguard_dev.processes import belongings, resident
from swireguard_dev.project import OURS
from swireguard_dev.topology import two_sites
from swireguard_dev.traffic import ping

CAP = 64 << 20  # bytes of resident memory; all pools exist from the start
SIZE = 1000     # bytes of a datagram


def refused_by_full_buffers(machine):
    """The number of datagrams dropped because the daemon's socket buffer was full."""
    names, values = [line.split() for line in machine.run("cat", "/proc/net/snmp").splitlines()
                     if line.startswith("Udp:")]
    return int(values[names.index("RcvbufErrors")])


def flood(machine, address, payloads, segments):
    """Sends the payloads in turn, forever, each in one send of `segments` segments."""
    with machine.entered():
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.connect(address)
    if segments > 1:
        out.setsockopt(socket.SOL_UDP, UDP_SEGMENT, len(payloads[0]))
    parts = [payload * segments for payload in payloads]
    while True:
        for part in parts:
            try:
                out.send(part)
            except OSError:  # the other end is briefly unreachable
                time.sleep(0.01)


def main():
    parser = Parser("over-rate")
    parser.add_argument("--seconds", type=positive_seconds, default=600)
    parser.add_argument("--program", default=OURS)
    options = parser.parse_args()
    require_root("over-rate")
    chance = random.Random(5)
    with two_sites(options.program, options.program, environment={"LOG_LEVEL": "error"}) as (a, b):
        with Capture(a.machine, "eth0") as capture:
            ping(a.machine, b.inner[4])
            data = next(udp_payload(packet) for packet in capture.packets()
                        if source(packet) == ("10.0.0.1", a.port) and udp_payload(packet)[0] == 4)
        before = belongings(b.daemon.pid)
        outside, inside = ("10.0.0.2", b.port), (b.inner[4], 9)
        key = bytes.fromhex(to_hex(b.keys.public))
        floods = [
            (inside, [bytes(SIZE)], 60),
            (outside, [data[:16] + chance.randbytes(SIZE - 16) for _ in range(50)], 60),
            (outside, [initiation(chance, key) for _ in range(500)], 1),
            (outside, [chance.randbytes(SIZE) for _ in range(50)], 60),
        ]
        start, lost = resident(b.daemon.pid), refused_by_full_buffers(b.machine)
        received = b.peer_status(a).rx
        processes = [multiprocessing.Process(target=flood, args=(a.machine, *each), daemon=True)
                     for each in floods]
        for process in processes:
            process.start()
        most, until = start, time.monotonic() + options.seconds
        while time.monotonic() < until:
            most = max(most, resident(b.daemon.pid))
            if b.daemon.process.poll() is not None:
                break
            time.sleep(0.1)
        for process in processes:
            process.kill()
            process.join()
        lost = refused_by_full_buffers(b.machine) - lost
        received = b.peer_status(a).rx - received
        print(f"{options.seconds:.0f} s: {received >> 20} MiB arrived, {lost} datagrams were dropped by "
              f"the full socket; resident memory {start >> 20} MiB before, peak {most >> 20} MiB")
        time.sleep(0.2)
        ping(a.machine, b.inner[4], within=1)
        ping(b.machine, a.inner[6], within=1)
        assert lost > 0, "the load was below the daemon's capacity"
        assert most <= CAP, f"peak memory exceeds {CAP >> 20} MiB"
        assert belongings(b.daemon.pid) == before


if __name__ == "__main__":
    main()
