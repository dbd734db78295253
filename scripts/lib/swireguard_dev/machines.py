"""Machines made of namespaces, and links between them.

A machine is a network, a mount and a PID namespace, held by one sleeping process. Its /run is private, so
each machine can have a `wg0`. It has no name on the host, so names cannot collide. When the holder ends, the
kernel kills all processes inside, even if the tests were killed first.
"""

import contextlib
import ctypes
import itertools
import os
import subprocess
import time

CLONE_NEWNET = 0x40000000
TIMEOUT = 20  # seconds for one command
patience = 1  # factor for all time limits; larger on an emulated machine

libc = ctypes.CDLL(None, use_errno=True)
link_indices = itertools.count(100, 2)

HOLDER = """
mount -t tmpfs -o mode=755 tmpfs /run && mount -t sysfs sysfs /sys && ip link set lo up || exit 1
trap '' CHLD # the kernel reaps orphans
echo ready
exec sleep infinity
"""


class Machine:
    """A machine. Use it in a `with` statement."""

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
        """Starts a command as a child of this process. It ends with the machine.

        leaves_processes: as in `attempt`. The child then waits for the command.
        """
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *self.door_for(leaves_processes), *map(str, command)],
            env=None if environment is None else {**os.environ, **environment},
            **{"stdin": subprocess.DEVNULL, "text": True, **options})
        self.started.append(process)
        return process

    def attempt(self, *command, timeout=TIMEOUT, environment=None, leaves_processes=False,
                **options):
        """Runs a command; returns the completed process with any status.

        leaves_processes: processes that outlive the command end with the machine.
        """
        return subprocess.run(
            [*self.door_for(leaves_processes), *map(str, command)], timeout=timeout * patience,
            env=None if environment is None else {**os.environ, **environment},
            **{"text": True, "capture_output": True, **options})

    def run(self, *command, **options):
        """Runs a command that must succeed; returns its standard output."""
        result = self.attempt(*command, **options)
        assert result.returncode == 0, (
            f"{self.name}: {' '.join(map(str, command))}: status {result.returncode}\n"
            f"{result.stdout}{result.stderr}")
        return result.stdout

    def ip(self, commands):
        """Runs lines of `ip` commands in one process."""
        self.run("ip", "-batch", "-", input=commands.strip() + "\n")

    def sysctl(self, **settings):
        """Sets net.* variables. `__` stands for a dot: `ipv4__ip_forward=1`."""
        for name, value in settings.items():
            self.run("sysctl", "-qw", f"net.{name.replace('__', '.')}={value}")

    def nft(self, ruleset):
        self.run("nft", "-f", "-", input=ruleset)

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread creates in the body belong to the machine from then on."""
        with open("/proc/thread-self/ns/net") as home, \
                open(f"/proc/{self.pid}/ns/net") as namespace:
            set_namespace(namespace)
            try:
                yield
            finally:
                set_namespace(home)

    def path(self, path):
        """The path of a file in the machine, as seen from the host."""
        return f"/proc/{self.pid}/root{path}"

    def has_link(self, name):
        return self.attempt("ip", "link", "show", "dev", name).returncode == 0

    def processes(self, program):
        """Ids of the processes in this machine's network namespace that execute a program."""
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
    """Connects two machines with a veth pair, assigns addresses and brings it up."""
    # With equal interface indices on both ends, as in two new namespaces, the kernel takes a second to
    # notice the carrier, and IPv6 addresses do not work until then.
    index = next(link_indices)
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
    """Polls a condition; returns its first true value, and fails after `within` seconds."""
    deadline = time.monotonic() + within * patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.01)
    return value
