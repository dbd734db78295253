"""One end of a tunnel: the interface wg0 of a machine, and its configuration."""

import base64
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

from swireguard_dev.benchmark.failure import Failure

NAME = "wg0"
START = 20  # seconds until a daemon must answer


@dataclass
class Section:
    """A peer in a configuration."""

    public_key: bytes
    endpoint: str = None
    allowed_ips: list = field(default_factory=list)


class DaemonInterface:
    """A daemon, configured over its socket."""

    def __init__(self, machine, program, environment):
        self.machine = machine
        self.program = program
        # WG_SUDO: otherwise boringtun drops privileges to the login user, and there is none here.
        self.environment = {"LOG_LEVEL": "error", "WG_SUDO": "1", **environment}

    def __enter__(self):
        self.log = tempfile.TemporaryFile()
        self.process = self.machine.popen(
            self.program, "-f", NAME, environment=self.environment, stdout=self.log,
            stderr=self.log)
        deadline = time.monotonic() + START
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise Failure(f"{self.program} does not start: {self.log_text()}")
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)

    def answers(self):
        with contextlib.suppress(OSError):
            return self.ask(b"get=1\n\n").endswith(b"errno=0\n\n")
        return False

    @property
    def pid(self):
        if self.process.poll() is not None:
            raise Failure(f"{self.program} has ended: {self.log_text()}")
        return self.process.pid

    def log_text(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace").strip()[-500:] or "no output"

    def ask(self, text):
        """Sends one request on a new connection; returns the whole answer."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(self.machine.path(f"/run/wireguard/{NAME}.sock"))
            client.sendall(text)
            parts = []
            while part := client.recv(1 << 20):
                parts.append(part)
                if part.endswith(b"\n\n") or b"".join(parts[-2:]).endswith(b"\n\n"):
                    break
        return b"".join(parts)

    def set(self, text):
        answer = self.ask(text)
        if answer != b"errno=0\n\n":
            raise Failure(f"{self.program} refuses a configuration: {answer[:80]!r}")

    def get(self):
        return self.ask(b"get=1\n\n")

    @staticmethod
    def text(private_key, port, sections):
        lines = ["set=1", f"private_key={private_key.hex()}", f"listen_port={port}"]
        for section in sections:
            lines.append(f"public_key={section.public_key.hex()}")
            if section.endpoint:
                lines.append(f"endpoint={section.endpoint}")
            lines += [f"allowed_ip={prefix}" for prefix in section.allowed_ips]
        return ("\n".join(lines) + "\n\n").encode()

    @staticmethod
    def prefix_count(answer):
        return answer.count(b"allowed_ip=")


class KernelInterface:
    """The kernel's WireGuard, configured with `wg`. Times include those of `wg`."""

    pid = None

    def __init__(self, machine):
        self.machine = machine

    def __enter__(self):
        self.machine.run("ip", "link", "add", NAME, "type", "wireguard")
        return self

    def __exit__(self, *_):
        self.machine.attempt("ip", "link", "delete", NAME)

    def set(self, text):
        self.machine.run("wg", "setconf", NAME, "/dev/stdin", input=text, timeout=60)

    def get(self):
        return self.machine.run("wg", "show", NAME, "allowed-ips", timeout=60)

    @staticmethod
    def text(private_key, port, sections):
        lines = ["[Interface]", f"PrivateKey = {encoded(private_key)}", f"ListenPort = {port}"]
        for section in sections:
            lines += ["[Peer]", f"PublicKey = {encoded(section.public_key)}"]
            if section.endpoint:
                lines.append(f"Endpoint = {section.endpoint}")
            lines += [f"AllowedIPs = {prefix}" for prefix in section.allowed_ips]
        return "\n".join(lines) + "\n"

    @staticmethod
    def prefix_count(answer):
        return sum(len(line.split()) - 1 for line in answer.splitlines())


def encoded(key):
    return base64.b64encode(key).decode()


def key_pair():
    """A private and a public key, 32 bytes each."""
    private = subprocess.run(["wg", "genkey"], capture_output=True, check=True).stdout
    public = subprocess.run(["wg", "pubkey"], input=private, capture_output=True,
                            check=True).stdout
    return base64.b64decode(private), base64.b64decode(public)


def random_keys(count):
    """Random public keys; no peer has their private keys."""
    return [os.urandom(32) for _ in range(count)]
