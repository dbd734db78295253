"""A WireGuard daemon under test, and its state as stock `wg` shows it."""

import base64
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

from swireguard_dev.machines import TIMEOUT, wait_until
from swireguard_dev.project import OURS

NO_KEY = "(none)"


class Keys:
    """A key pair in base64, as `wg` prints it."""

    def __init__(self):
        self.private = wg_tool("genkey")
        self.public = wg_tool("pubkey", input=self.private)


def wg_tool(*arguments, input=None):
    return subprocess.run(["wg", *arguments], input=input, check=True, text=True,
                          capture_output=True, timeout=TIMEOUT).stdout.strip()


def to_hex(key):
    return base64.b64decode(key).hex()


@dataclass
class PeerStatus:
    """A line of `wg show … dump`."""

    public_key: str
    preshared_key: str
    endpoint: str
    allowed_ips: list
    latest_handshake: int
    rx: int
    tx: int
    keepalive: str


@dataclass
class Status:
    """The output of `wg show … dump`."""

    private_key: str
    public_key: str
    listen_port: int
    fwmark: str
    peers: dict = field(default_factory=dict)

    @property
    def peer(self):
        """The only peer."""
        assert len(self.peers) == 1
        return next(iter(self.peers.values()))


class Interface:
    """A WireGuard interface of any implementation, configured with stock `wg`."""

    def __init__(self, machine, name="wg0"):
        self.machine = machine
        self.name = name

    def wg(self, *arguments, **options):
        """Runs `wg`, with the interface inserted after the subcommand: wg("set", "listen-port", "5")."""
        subcommand, *rest = arguments
        return self.machine.run("wg", subcommand, self.name, *rest, **options)

    def try_wg(self, *arguments, **options):
        subcommand, *rest = arguments
        return self.machine.attempt("wg", subcommand, self.name, *rest, **options)

    def show(self):
        """The state of the interface and its peers."""
        device, *peers = (line.split("\t") for line in self.wg("show", "dump").splitlines())
        status = Status(device[0], device[1], int(device[2]), device[3])
        for key, preshared, endpoint, allowed, handshake, rx, tx, keepalive in peers:
            status.peers[key] = PeerStatus(
                key, preshared, endpoint, [] if allowed == NO_KEY else allowed.split(","),
                int(handshake), int(rx), int(tx), keepalive)
        return status


class Daemon(Interface):
    """A daemon in the foreground, with its log in a file. Use it in a `with` statement.

    Leaving the block stops it with SIGTERM, and fails if it does not end cleanly: with status 0, and
    without its link and socket file.
    """

    recent = []  # daemons whose logs the report of a failed test shows

    def __init__(self, machine, program=None, name="wg0", arguments=("-f",), environment=None,
                 before=()):
        """before: a command that executes the daemon in the same process."""
        super().__init__(machine, name)
        self.program = program or OURS
        self.arguments = arguments
        self.before = before
        self.environment = {"LOG_LEVEL": "verbose", **(environment or {})}
        self.process = None
        self.expected_to_run = True
        self.log = tempfile.NamedTemporaryFile(prefix=f"swireguard-{machine.name}-")
        Daemon.recent.append(self)

    def __enter__(self):
        self.process = self.machine.popen(
            *self.before, self.program, *self.arguments, self.name, environment=self.environment,
            stdout=self.log, stderr=self.log)
        wait_until(self.answers_or_ended, f"{self.name} of {self.machine.name} answers", within=10)
        assert self.process.poll() is None, f"the daemon ended at its start:\n{self.log_text()}"
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None and self.expected_to_run:
                self.stop()
        finally:
            self.process.kill()
            self.process.wait(TIMEOUT)

    def stop(self, with_signal=signal.SIGTERM, within=3.0):
        status = self.process.poll()
        assert status is None, f"the daemon ended with status {status}:\n{self.log_text()}"
        self.process.send_signal(with_signal)
        self.assert_ends_cleanly(within)

    def assert_ends_cleanly(self, within=3.0):
        """The process ends without a further signal, with status 0, and without its socket and link."""
        self.expected_to_run = False
        try:
            status = self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon did not end within {within} s") from None
        assert status == 0, f"the daemon ended with status {status}:\n{self.log_text()}"
        assert not os.path.lexists(self.socket_path), "its socket file still exists"
        assert not self.machine.has_link(self.name), "its link still exists"

    def answers_or_ended(self):
        if self.process.poll() is not None:
            return True
        with contextlib.suppress(OSError), self.dial() as client:
            client.sendall(b"get=1\n\n")
            return b"errno=0\n" in client.recv(65536)
        return False

    @property
    def pid(self):
        return self.process.pid

    @property
    def socket_path(self):
        return self.machine.path(f"/run/wireguard/{self.name}.sock")

    def log_text(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")

    # Configuration over the socket.

    def dial(self, timeout=5.0):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            client.connect(self.socket_path)  # blocking, as in `wg`: waits while the backlog is full
            client.settimeout(timeout)
        except OSError:
            client.close()
            raise
        return client

    def ask(self, text, timeout=5.0):
        """Sends a request on a new connection; returns the answer."""
        with self.dial(timeout) as client:
            client.sendall(text.encode() if isinstance(text, str) else text)
            return read_answer(client)

    def get(self):
        """The configuration as (key, value) pairs, in the daemon's order."""
        answer = self.ask("get=1\n\n")
        assert answer.endswith("errno=0\n\n")
        return [tuple(line.split("=", 1)) for line in answer.splitlines() if line][:-1]


def read_answer(client):
    """Reads up to the empty line, or to the end of the stream."""
    answer = b""
    while not answer.endswith(b"\n\n"):
        part = client.recv(1 << 20)
        if not part:
            break
        answer += part
    return answer.decode()


def now():
    return time.time()
