"""scripts/chaos: change two daemons at random while they carry traffic."""

import base64
import collections
import contextlib
import os
import queue
import random
import re
import subprocess
import sys
import threading
import time

from swireguard_dev.command_line import Parser, positive, positive_seconds, require_root
from swireguard_dev.daemon import Daemon, Keys, to_hex
from swireguard_dev.datagrams import background
from swireguard_dev.machines import Machine
from swireguard_dev.processes import belongings, resident
from swireguard_dev.project import OURS, ROOT
from swireguard_dev.topology import OUTER, PORT, Site, two_machines

WATCHDOG = 5.0  # seconds until a call must be answered
MEMORY = 24 << 20  # bytes by which the memory in use may grow
REPORT = re.compile(r"ERROR: \w*Sanitizer.*|WARNING: ThreadSanitizer.*|Fatal error.*"
                    r"|.*Thread .* crashed.*")


class Target:
    """A site, and the two machines that its interface moves between."""

    def __init__(self, site, home, away):
        self.site = site
        self.home, self.away = home, away
        self.structure = threading.Lock()  # held while keys, machine or daemon change
        self.epoch = 0                     # odd during a restart
        self.logs = [site.daemon]

    @property
    def daemon(self):
        return self.site.daemon


class Chaos:
    def __init__(self, options, a, b):
        self.options = options
        self.seed = options.seed
        self.targets = [a, b]
        self.restarts = queue.Queue()
        self.done = collections.Counter()
        self.slowest = 0.0
        self.failures = []
        self.standstills = []  # intervals in which the host was suspended, with some time after
        self.over = threading.Event()

    def other(self, target):
        return self.targets[target is self.targets[0]]

    # Actions of clients.

    def ask(self, target, text, errno="0"):
        answer = target.daemon.ask(text, timeout=WATCHDOG)
        if not answer.endswith(f"errno={errno}\n\n"):
            raise EOFError(f"answered {answer[-60:]!r} to {text[:60]!r}")
        return answer

    def get(self, target, _):
        self.ask(target, "get=1\n\n")

    def show(self, target, _):
        target.home.run("wg", "show", "wg0", "dump", timeout=WATCHDOG)

    def set_device(self, target, chance):
        self.ask(target, f"set=1\nfwmark={chance.choice([0, 0, 51820])}\n"
                         f"listen_port={target.site.port}\n\n")

    def move_port(self, target, chance):
        """Changes the listen port and changes it back. The other end must follow."""
        self.ask(target, f"set=1\nlisten_port={chance.randrange(20000, 30000)}\n\n")
        self.ask(target, f"set=1\nlisten_port={target.site.port}\n\n")

    def set_peer(self, target, chance):
        key = to_hex(self.other(target).site.keys.public)
        self.ask(target, f"set=1\npublic_key={key}\nupdate_only=true\n"
                         f"persistent_keepalive_interval={chance.choice([0, 1, 25])}\n\n")

    def add_and_remove_peers(self, target, chance):
        keys = [chance.randbytes(32).hex() for _ in range(chance.choice([1, 20, 200]))]
        first = chance.randrange(200)
        self.ask(target, "set=1\n" + "".join(
            f"public_key={key}\nendpoint=10.0.0.{9 + number % 200}:{1000 + number}\n"
            f"allowed_ip=172.{16 + number % 16}.{first}.{number % 256}/32\n"
            f"allowed_ip=fd07:{number:x}::/64\n"
            for number, key in enumerate(keys)) + "\n")
        self.ask(target, "set=1\n" + "".join(
            f"public_key={key}\nremove=true\n" for key in keys) + "\n")
        self.done["peers added and removed"] += len(keys)

    def change_key(self, target, _):
        site, other = target.site, self.other(target)
        with target.structure:
            old, new = site.keys, Keys()
            site.keys = new
            self.ask(target, f"set=1\nprivate_key={to_hex(new.private)}\n\n")
            self.ask(other, f"set=1\npublic_key={to_hex(old.public)}\nremove=true\n"
                     + self.peer_lines(target) + "\n")

    def peer_lines(self, target):
        site = target.site
        return (f"public_key={to_hex(site.keys.public)}\n"
                f"endpoint={OUTER[4][site.port - PORT]}:{site.port}\n"
                + "".join(f"allowed_ip={route}\n" for route in site.host_routes))

    def down_and_up(self, target, _):
        with target.structure:
            target.site.machine.ip("link set wg0 down\nlink set wg0 up")

    def change_mtu(self, target, chance):
        with target.structure:
            target.site.machine.ip(f"link set wg0 mtu {chance.choice([68, 1280, 1420, 9000, 65535])}")

    def move(self, target, _):
        with target.structure:
            place = target.away if target.site.machine is target.home else target.home
            # IPv6 needs 1280 bytes to come back.
            target.site.machine.ip(f"link set wg0 mtu 1280\nlink set wg0 netns {place.pid}")
            target.site.machine = place
            target.site.bring_up()

    def half_command(self, target, chance):
        with target.daemon.dial(WATCHDOG) as client:
            client.sendall(b"set=1\nprivate_key=" + chance.randbytes(8).hex().encode())

    def nonsense(self, target, chance):
        text = chance.choice(["set=1\nfwmark=x\n\n", "set=1\npublic_key=0\n\n", "who=1\n\n"])
        answer = target.daemon.ask(text, timeout=WATCHDOG)
        if "errno=-" not in answer:
            raise EOFError(f"answered {answer!r} to {text!r}")

    def restart(self, target, chance):
        """Asks the main thread for a restart, because a daemon dies with the thread that started it."""
        if target is not self.targets[0]:
            return
        done = threading.Event()
        self.restarts.put((target, chance.choice(["TERM", "KILL"]), done))
        if not done.wait(30):
            raise TimeoutError("no restart within 30 s")

    WEIGHTS = {get: 20, show: 3, set_device: 8, move_port: 2, set_peer: 10, add_and_remove_peers: 12,
               change_key: 2, down_and_up: 4, change_mtu: 3, move: 3, half_command: 4, nonsense: 4,
               restart: 1}

    def client(self, number):
        chance = random.Random(f"{self.seed} {number}")
        actions, weights = zip(*self.WEIGHTS.items())
        while not self.over.is_set():
            action = chance.choices(actions, weights)[0]
            target = chance.choice(self.targets)
            pair = [(each, each.epoch) for each in self.targets]
            begun = time.monotonic()
            try:
                action(self, target, chance)
            except (OSError, EOFError, AssertionError, subprocess.SubprocessError) as error:
                # A daemon that was restarted in the meantime need not answer.
                if all(each.epoch == epoch and epoch % 2 == 0 for each, epoch in pair) \
                        or isinstance(error, (TimeoutError, subprocess.TimeoutExpired)):
                    self.fail(f"{action.__name__}: {error!r}")
            except Exception as error:  # a bug of this script; the client must continue
                self.fail(f"{action.__name__}: {error!r}")
            if action is not Chaos.restart:
                self.slowest = max(self.slowest, time.monotonic() - begun)
            self.done[action.__name__] += 1
            time.sleep(chance.random() * 0.02)

    def fail(self, why):
        self.failures.append((time.monotonic(), why))
        print(f"chaos: {why}", flush=True)

    def count_failures(self):
        """The number of failures outside intervals in which the host was suspended."""
        return sum(not any(start <= at <= end for start, end in self.standstills)
                   for at, _ in self.failures)

    def watch_the_clock(self):
        last = time.monotonic()
        while True:
            time.sleep(0.1)
            now = time.monotonic()
            if now - last > 2:
                print(f"chaos: the host was suspended for {now - last:.0f} s", flush=True)
                self.standstills.append((last, now + WATCHDOG))
            last = now

    # Called by the main thread.

    def run(self):
        clients = [threading.Thread(target=self.client, args=(number,), daemon=True)
                   for number in range(self.options.clients)]
        for each in [threading.Thread(target=self.watch_the_clock, daemon=True), *clients]:
            each.start()
        until = time.monotonic() + self.options.seconds
        survivor, before = self.targets[1], None
        warm = time.monotonic() + min(10, self.options.seconds / 3)
        while (now := time.monotonic()) < until and self.count_failures() < 20:
            if before is None and now > warm:
                before = resident(survivor.daemon.pid)
            with contextlib.suppress(queue.Empty):
                self.serve(*self.restarts.get(timeout=0.2))
            for target in self.targets:
                if target.daemon.process.poll() is not None:
                    self.fail(f"a daemon ended with status {target.daemon.process.returncode}")
                    return
        self.over.set()
        while any(client.is_alive() for client in clients):
            with contextlib.suppress(queue.Empty):
                self.serve(*self.restarts.get(timeout=0.05))
        after = resident(survivor.daemon.pid)
        before = before or after  # too many failures to reach the first measurement
        print(f"memory of the daemon that was never killed: {before >> 20} MiB after the warm-up, "
              f"{after >> 20} MiB at the end")
        if not self.options.sanitize and after > before + MEMORY:
            self.fail(f"memory grew by {(after - before) >> 20} MiB")

    def serve(self, target, how, done):
        with target.structure:
            target.epoch += 1
            try:
                self.start_again(target, how)
            except (OSError, AssertionError, RuntimeError, subprocess.SubprocessError) as caught:
                self.fail(f"restart after SIG{how}: {caught!r}")
            target.epoch += 1
        done.set()

    def start_again(self, target, how):
        old = target.daemon
        old.expected_to_run = False
        if how == "TERM":
            old.process.terminate()
            if (status := old.process.wait(WATCHDOG)) != 0:
                self.fail(f"status {status} after SIGTERM")
        else:
            old.process.kill()
            old.process.wait()
        site = target.site
        site.machine = target.home
        site.daemon = Daemon(target.home, old.program, environment=old.environment)
        Daemon.recent.clear()  # each entry keeps a log open
        target.logs.append(site.daemon)
        site.daemon.__enter__()
        site.configure(self.other(target).site.as_peer(
            endpoint=f"{OUTER[4][self.other(target).site.port - PORT]}:{self.other(target).site.port}"))
        site.bring_up()

    def check_the_end(self, before):
        """Checks that the tunnel works and that no descriptors or threads are left over."""
        for target in self.targets:
            site = target.site
            if site.machine is not target.home:
                site.machine.ip(f"link set wg0 netns {target.home.pid}")
                site.machine = target.home
            site.machine.ip("link set wg0 down\nlink set wg0 mtu 1420\naddress flush dev wg0")
            self.ask(target, f"set=1\nprivate_key={to_hex(site.keys.private)}\nfwmark=0\n"
                             f"listen_port={site.port}\nreplace_peers=true\n"
                             + self.peer_lines(self.other(target)) + "\n")
        for target in self.targets:
            target.site.bring_up()
        for target in self.targets:
            address = self.other(target).site.inner
            # The first ping may precede the daemon's link event. It then waits for a second initiation.
            for within, version in ((8, 4), (4, 4), (4, 6)):
                if target.home.attempt("ping", "-n", "-c1", "-i0.2", f"-w{within}",
                                       address[version]).returncode != 0:
                    self.fail(f"no ping from {target.home.name} within {within} s")
        now = belongings(self.targets[1].daemon.pid, rest=0.5)
        if now != before:
            self.fail(f"descriptors and threads changed from {before} to {now}")
        for target in self.targets:
            for each in target.logs:
                for line in REPORT.findall(each.log_text()):
                    self.fail(f"logged: {line}")


def main():
    parser = Parser("chaos")
    parser.add_argument("--seconds", type=positive_seconds, default=600)
    parser.add_argument("--seed", default=base64.b32encode(os.urandom(5)).decode())
    parser.add_argument("--clients", type=positive, default=8)
    parser.add_argument("--program", default=OURS)
    parser.add_argument("--sanitize", choices=["address", "thread"])
    options = parser.parse_args()
    require_root("chaos")
    if not options.sanitize and options.program == OURS and "SWIREGUARD" not in os.environ:
        options.program = subprocess.run(
            [ROOT / "scripts/build"], stdout=subprocess.PIPE, text=True,
            check=True).stdout.strip()
    if options.sanitize:
        options.program = subprocess.run(
            [ROOT / "scripts/lib/build-sanitized", options.sanitize],
            stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    print(f"chaos for {options.seconds:.0f} s with seed {options.seed}", flush=True)
    how = {"environment": {"LOG_LEVEL": "error"}}
    with two_machines() as (alice, bob), Machine("jail") as jail, Machine("cell") as cell, \
            Site(alice, 1, options.program, PORT + 1, **how) as a, \
            Site(bob, 2, options.program, PORT + 2, **how) as b:
        chaos = Chaos(options, Target(a, alice, jail), Target(b, bob, cell))
        a.configure(b.as_peer(endpoint=f"10.0.0.2:{b.port}"))
        b.configure(a.as_peer(endpoint=f"10.0.0.1:{a.port}"))
        for site in (a, b):
            site.bring_up()
        before = belongings(b.daemon.pid, rest=0.5)
        with background((alice, b.inner[4]), (jail, b.inner[4]), (bob, a.inner[4]),
                        (cell, a.inner[4])):
            chaos.run()
        if not any("a daemon ended" in why for _, why in chaos.failures):
            try:
                chaos.check_the_end(before)
            except Exception as error:
                chaos.fail(f"at the end: {error!r}")
            for target in chaos.targets:
                target.daemon.stop(within=5)
                for line in REPORT.findall(target.daemon.log_text()):
                    chaos.fail(f"logged while ending: {line}")
        for target in chaos.targets:
            target.daemon.expected_to_run = False
    print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in chaos.done.most_common()))
    print(f"the slowest call took {chaos.slowest:.2f} s; {chaos.count_failures()} failures "
          f"with seed {options.seed}")
    return 1 if chaos.count_failures() else 0


if __name__ == "__main__":
    sys.exit(main())
