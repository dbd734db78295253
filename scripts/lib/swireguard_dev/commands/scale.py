"""scripts/scale: measure the cost of many peers that each have a session."""

import json
import os
import subprocess
import sys
import time

from swireguard_dev.command_line import Parser, not_negative, positive, require_root
from swireguard_dev.daemon import Daemon
from swireguard_dev.machines import Machine
from swireguard_dev.processes import cpu_seconds, resident, thread_cpu_seconds
from swireguard_dev.project import OURS, ROOT

PORT = 51820
REKEY_AFTER = 120  # seconds
KEEPALIVE = 25  # seconds


class Crowd:
    """The other end: a program that acts as many peers."""

    def __init__(self, machine, program, peers, keepalive):
        self.process = machine.popen(program, peers, PORT, keepalive, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE)
        lines = []
        while not lines or lines[-1] != "\n":
            lines.append(self.process.stdout.readline())
            assert lines[-1], "the crowd ended"
        self.configuration = "".join(lines)

    def parts(self, size):
        """The configuration, as `set` requests of `size` peers each."""
        head, *peers = self.configuration.removesuffix("\n").split("public_key=")
        for start in range(0, len(peers), size):
            part = "".join(f"public_key={peer}" for peer in peers[start:start + size])
            yield (head if start == 0 else "set=1\n") + part + "\n"

    def do(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the crowd ended during: {what}"
        return json.loads(answer)


class Measurement:
    """Processor time of a daemon and round trips of a crowd's pings, over `seconds`."""

    def __init__(self, daemon, crowd, seconds, rate):
        before = thread_cpu_seconds(daemon.pid)
        self.pings = crowd.do(f"measure {seconds} {rate}")
        after = thread_cpu_seconds(daemon.pid)
        self.seconds = self.pings["seconds"]
        self.load = sum(after.values()) - sum(before.values())
        self.load /= self.seconds
        self.control = (after[daemon.pid] - before[daemon.pid]) / self.seconds

    def line(self, name):
        pings = self.pings
        return (f"{name:<28} {self.load:6.3f} of a core ({self.control:.3f} control thread), "
                f"{pings['handshakes'] / self.seconds:7.0f} handshakes/s; ping median "
                f"{pings['median'] / 1e3:.0f} µs, 99.9 % {pings['p999'] / 1e3:.0f} µs, longest "
                f"{pings['max'] / 1e6:.2f} ms; {pings['pauses']} above 5 ms, "
                f"{pings['sent'] - pings['back']} of {pings['sent']} lost")


def measure(peers, seconds, crowd_program, daemon_program=None, initiate=False, load=None,
            say=print):
    """Returns the measurements by name."""
    with Machine("hub") as machine, \
            Daemon(machine, daemon_program, environment={"LOG_LEVEL": "error"}) as daemon:
        crowd = Crowd(machine, crowd_program, peers, KEEPALIVE if initiate else 0)
        idle = resident(daemon.pid)
        first, *others = crowd.parts(1000 if initiate else peers)
        begun = time.monotonic()
        assert daemon.ask(first, timeout=60) == "errno=0\n\n"
        if not others:
            say(f"{peers} peers set in {time.monotonic() - begun:.2f} s: "
                f"{(resident(daemon.pid) - idle) / 1024 / peers:.2f} KiB a peer")
        begun, used = time.monotonic(), cpu_seconds(daemon.pid)
        machine.ip("address add 10.255.255.254/8 dev wg0\nlink set wg0 up")
        say(f"interface up in {time.monotonic() - begun:.2f} s")
        asked = time.monotonic()
        daemon.ask("get=1\n\n", timeout=60)
        say(f"concurrent get answered in {time.monotonic() - asked:.2f} s")
        made = crowd.do("await 30 1000" if initiate else "establish")
        for number, part in enumerate(others, 2):
            assert daemon.ask(part, timeout=60) == "errno=0\n\n"
            made["handshakes"] += crowd.do(f"await 30 {number * 1000}")["handshakes"]
        say(f"{made['handshakes']} sessions established in {time.monotonic() - begun:.1f} s, with "
            f"{cpu_seconds(daemon.pid) - used:.1f} s of processor time: "
            f"{(resident(daemon.pid) - idle) / 1024 / peers:.2f} KiB a peer")
        assert made["handshakes"] >= peers, f"not all peers got a session: {made}"
        results = {"made": made}
        if seconds == 0:
            return results
        if initiate:
            # Sessions are renewed with the first keepalive after 120 s.
            results["renewing"] = Measurement(daemon, crowd, REKEY_AFTER + 2 * KEEPALIVE, 0)
            say(results["renewing"].line(f"renewals in {REKEY_AFTER + 2 * KEEPALIVE} s"))
        else:
            time.sleep(1)
            results["at rest"] = Measurement(daemon, crowd, min(seconds, 30), 0)
            say(results["at rest"].line("without handshakes"))
            rate = load or max(peers // REKEY_AFTER, 1)
            results["renewing"] = Measurement(daemon, crowd, seconds, rate)
            say(results["renewing"].line("renewing sessions"))
        say(f"finally {(resident(daemon.pid) - idle) / 1024 / peers:.2f} KiB a peer, "
            f"{resident(daemon.pid) >> 20} MiB in total")
        results["unexpected"] = results["renewing"].pings["unexpected"]
        say(f"{results['unexpected']} messages that the crowd did not expect, "
            f"{results['renewing'].pings['cookies']} cookie replies")
        return results


def build():
    return subprocess.run([ROOT / "scripts/build", "--product", "crowd"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def main():
    parser = Parser("scale")
    parser.add_argument("peers", nargs="?", type=positive, default=100_000)
    parser.add_argument("seconds", nargs="?", type=not_negative, default=60)
    parser.add_argument("--initiate", action="store_true")
    parser.add_argument("--load", type=positive)
    arguments = parser.parse_args()
    require_root("scale")
    if not os.access(OURS, os.X_OK):
        sys.exit(f"scale: {OURS} is missing: scripts/build, or name another in SWIREGUARD")
    measure(arguments.peers, arguments.seconds, os.environ.get("CROWD") or build(),
            initiate=arguments.initiate, load=arguments.load)


if __name__ == "__main__":
    main()
