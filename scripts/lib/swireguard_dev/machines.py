"""Machines made of namespaces, and the cables between them.

A machine is a network, a mount and a PID namespace, held by one sleeping process. It has a private
/run, so every machine may have a `wg0`; it has no name on the host, so nothing can collide; and
when its holder dies the kernel kills whatever runs inside, even if the tests are killed first.
"""

import contextlib
import ctypes
import itertools
import os
import subprocess
import time

CLONE_NEWNET = 0x40000000
TIMEOUT = 20  # seconds that any one command may take
patience = 1  # times every limit in seconds; more on an emulated machine

libc = ctypes.CDLL(None, use_errno=True)
cable_ends = itertools.count(100, 2)

HOLDER = """
mount -t tmpfs -o mode=755 tmpfs /run && mount -t sysfs sysfs /sys && ip link set lo up || exit 1
trap '' CHLD # orphans are reaped
echo ready
exec sleep infinity
"""


class Machine:
    """A machine of its own, to be used in a `with` statement."""

    def __init__(self, name):
        self.name = name
        self.started = []

    def __enter__(self):
        self.holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork",
             "--propagation", "private", "--kill-child", "sh", "-c", HOLDER],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "ready\n":
            self.holder.kill()
            self.holder.wait()
            raise RuntimeError(f"no namespaces for {self.name}")
        with open(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children") as children:
            self.pid = int(children.read())
        return self

    def __exit__(self, *_):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait(TIMEOUT)
        self.holder.kill()
        self.holder.wait(TIMEOUT)
        self.holder.stdout.close()

    def popen(self, *command, environment=None, leaves_processes=False, **options):
        """Starts a command that stays our own child; the machine's end is its end too.

        leaves_processes: as in `attempt`; our child is then the one that waits for the command.
        """
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *self.door_for(leaves_processes), *map(str, command)],
            env=None if environment is None else {**os.environ, **environment},
            **{"stdin": subprocess.DEVNULL, "text": True, **options})
        self.started.append(process)
        return process

    def attempt(self, *command, timeout=TIMEOUT, environment=None, leaves_processes=False,
                **options):
        """Runs a command to its end, whatever that is.

        leaves_processes: processes that outlive the command belong to the machine and die with it.
        """
        return subprocess.run(
            [*self.door_for(leaves_processes), *map(str, command)], timeout=timeout * patience,
            env=None if environment is None else {**os.environ, **environment},
            **{"text": True, "capture_output": True, **options})

    def run(self, *command, **options):
        """Runs a command that has to succeed; returns its standard output."""
        result = self.attempt(*command, **options)
        assert result.returncode == 0, (
            f"{self.name}: {' '.join(map(str, command))}: status {result.returncode}\n"
            f"{result.stdout}{result.stderr}")
        return result.stdout

    def ip(self, commands):
        """Runs lines of `ip` commands in one go."""
        self.run("ip", "-batch", "-", input=commands.strip() + "\n")

    def sysctl(self, **settings):
        """Sets net.* variables of this machine: `ipv4__ip_forward=1`, a dot for each `__`."""
        for name, value in settings.items():
            self.run("sysctl", "-qw", f"net.{name.replace('__', '.')}={value}")

    def nft(self, ruleset):
        self.run("nft", "-f", "-", input=ruleset)

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread makes meanwhile belong to the machine, and stay there."""
        with open("/proc/thread-self/ns/net") as home, \
                open(f"/proc/{self.pid}/ns/net") as namespace:
            set_namespace(namespace)
            try:
                yield
            finally:
                set_namespace(home)

    def path(self, path):
        """A path inside the machine, as seen from the test."""
        return f"/proc/{self.pid}/root{path}"

    def has_link(self, name):
        return self.attempt("ip", "link", "show", "dev", name).returncode == 0

    def processes(self, program):
        """The processes in this machine's network that run a program (by its file's name)."""
        network = os.readlink(f"/proc/{self.pid}/ns/net")
        found = []
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if (os.readlink(f"/proc/{pid}/ns/net") == network
                        and os.readlink(f"/proc/{pid}/exe") == os.path.realpath(program)):
                    found.append(int(pid))
        return found

    def door(self, *namespaces):
        return ["nsenter", "--target", str(self.pid), *namespaces, "--"]

    def door_for(self, leaves_processes):
        return self.door("--net", "--mount", *(["--pid"] if leaves_processes else []))


def set_namespace(file):
    if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")


def connect(left, left_name, right, right_name, left_addresses=(), right_addresses=(), mtu=1500):
    """Lays a cable (a veth pair) between two machines, brings it up and gives it addresses."""
    # With equal interface indices on both ends, as two fresh namespaces would give, the kernel
    # takes a second to notice the carrier, and IPv6 addresses are dead until then.
    index = next(cable_ends)
    subprocess.run(
        ["ip", "link", "add", left_name, "netns", str(left.pid), "index", str(index),
         "mtu", str(mtu), "type", "veth", "peer", "name", right_name, "netns", str(right.pid),
         "index", str(index + 1), "mtu", str(mtu)],
        check=True, timeout=TIMEOUT)
    for machine, name, addresses in [(left, left_name, left_addresses),
                                     (right, right_name, right_addresses)]:
        machine.ip("\n".join(
            [f"address add {address} dev {name}{' nodad' if ':' in address else ''}"
             for address in addresses] + [f"link set {name} up"]))


def wait_until(condition, what, within=5.0):
    """Polls for a condition; returns its first true value, fails after `within` seconds."""
    deadline = time.monotonic() + within * patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.01)
    return value
