"""A daemon and a paper peer in two namespaces, joined by a veth pair.

    daemon's namespace                          peer's namespace
    TUN  192.168.77.1, fd78::1                  paper peer, inner 192.168.77.2, fd78::2
    veth 10.77.0.1:51820, [fd77::1]:51820 ───── 10.77.0.2:51821, [fd77::2]:51821

Static neighbor entries and disabled link-local addresses ensure that the link carries only what the daemon
sends. SWIREGUARD names the daemon (the release build). All of this needs root.
"""

import base64
import itertools
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from swireguard_dev.project import OURS

from .curve import KeyPair
from .namespaces import Namespace, Sent, Tap, run
from .noise import NO_PRESHARED_KEY
from .peer import Peer
from .tunnel import Tunnel

DAEMON = Path(OURS)
OUTER = {4: ("10.77.0.1", "10.77.0.2"), 6: ("fd77::1", "fd77::2")}
INNER = {4: ("192.168.77.1", "192.168.77.2"), 6: ("fd78::1", "fd78::2")}
DAEMON_PORT, PEER_PORT = 51820, 51821
MTU = 1420

_numbers = itertools.count(1)


@pytest.fixture
def open_site() -> Iterator[Callable[..., "Site"]]:
    """Creates sites with `open_site(family=6, preshared=…)`, and closes them after the test."""
    if os.geteuid() != 0:
        pytest.fail("network namespaces need root")
    if not os.access(DAEMON, os.X_OK):
        pytest.fail(f"{DAEMON} is missing: scripts/build, or name one in SWIREGUARD")
    with ExitStack() as stack:
        def open_one(family: int = 4, preshared: bytes = NO_PRESHARED_KEY) -> Site:
            site = Site(stack, family, preshared)
            site.start()
            return site
        yield open_one


class Daemon:
    """The daemon under test, configured with `wg`."""

    def __init__(self, namespace: Namespace, interface: str, static: KeyPair):
        self.namespace = namespace
        self.interface = interface
        self.static = static
        self.process = namespace.spawn(
            str(DAEMON), "-f", interface, stdin=subprocess.DEVNULL,
            env=os.environ | {"LOG_LEVEL": "error"},
        )

    def wait_until_ready(self) -> None:
        end = time.monotonic() + 10
        while not self._socket.exists():
            if self.process.poll() is not None:
                pytest.fail(f"the daemon ended at its start with status {self.process.returncode}")
            if time.monotonic() > end:
                pytest.fail(f"the daemon did not create {self._socket} within 10 s")
            time.sleep(0.01)

    def set(self, *arguments: str) -> None:
        """`wg set`. Secrets are file names in the arguments."""
        run("wg", "set", self.interface, *arguments)

    def show(self, what: str) -> list[list[str]]:
        """The words of each line of `wg show … what`."""
        return [line.split() for line in
                run("wg", "show", self.interface, what).splitlines()]

    def ping(self, destination: str, *options: str) -> subprocess.Popen:
        """Starts one ping through the tunnel. Its exit status is 0 if an answer arrives in time."""
        return self.namespace.spawn("ping", "-n", "-c", "1", *options, destination,
                                    stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        """Stops the daemon, and fails the test if it had already ended."""
        ended = self.process.poll()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._socket.unlink(missing_ok=True)
        if ended is not None:
            pytest.fail(f"the daemon had already ended, with status {ended}")

    @property
    def _socket(self) -> Path:
        return Path("/run/wireguard", self.interface + ".sock")


class Site:
    """Both namespaces, the daemon in one and the paper peer in the other."""

    def __init__(self, stack: ExitStack, family: int, preshared: bytes):
        # Short enough for an interface name, and unique among concurrent test runs.
        self.name = f"pp{os.getpid() % 0x100000:x}n{next(_numbers)}"
        self.family = family
        self.preshared = preshared
        self._stack = stack

    def start(self) -> None:
        self._join_namespaces()
        static = KeyPair.of(secrets.token_bytes(32))
        self.peer_static = KeyPair.of(secrets.token_bytes(32))
        self.daemon = Daemon(self.daemon_namespace, self.name, static)
        self._stack.callback(self.daemon.stop)
        self.daemon.wait_until_ready()
        self.tap = Tap(self.daemon_namespace, self._veths[0])
        self._stack.callback(self.tap.close)
        self.tunnel = self.another_tunnel(PEER_PORT)
        self._configure()

    def another_tunnel(self, port: int = 0, peer: Peer | None = None) -> Tunnel:
        """The paper peer, or `peer`, on another socket in the peer's namespace."""
        udp = self.peer_namespace.udp_socket(self.family, port)
        self._stack.callback(udp.close)
        if peer is None:
            peer = Peer(self.peer_static, self.daemon.static.public, self.preshared)
        return Tunnel(peer, udp, (OUTER[self.family][0], DAEMON_PORT),
                      {version: inner[1] for version, inner in INNER.items()},
                      {version: inner[0] for version, inner in INNER.items()})

    def set_peer(self, *arguments: str) -> None:
        self.daemon.set("peer", base64_of(self.peer_static.public), *arguments)

    def source_of(self, tunnel: Tunnel) -> tuple[str, int]:
        """The source address of that tunnel, as the daemon sees it."""
        return OUTER[self.family][1], tunnel.socket.getsockname()[1]

    def endpoint(self) -> str:
        """The paper peer's endpoint in `wg show endpoints`."""
        return self.daemon.show("endpoints")[0][1]

    def endpoint_of(self, tunnel: Tunnel) -> str:
        """The tunnel's address as `wg` writes it."""
        address, port = self.source_of(tunnel)
        return f"[{address}]:{port}" if self.family == 6 else f"{address}:{port}"

    def sent(self) -> list[Sent]:
        """The packets that the daemon sent since the last call, without the kernel's ICMPv6."""
        return [packet for packet in self.tap.drain() if not packet.is_icmpv6]

    @contextmanager
    def silence(self, settle: float = 0.3) -> Iterator[None]:
        """Checks that the daemon sends nothing in response to the body.

        No event marks silence, so this watches for `settle` seconds after the body.
        """
        self.sent()
        self.tunnel.drop_received()
        yield
        time.sleep(settle)
        packets = self.sent()
        shown = [(packet.udp or packet.packet).hex()[:64] for packet in packets[:4]]
        assert not packets, f"the daemon sent {len(packets)} packets, the first: {shown}"

    def tun_packets(self) -> int:
        """The number of packets that the daemon wrote to its TUN."""
        return self.daemon_namespace.packets_through(self.name)[0]

    # Steps

    def _join_namespaces(self) -> None:
        self.daemon_namespace = Namespace(self.name + "d")
        self._stack.callback(self.daemon_namespace.delete)
        self.peer_namespace = Namespace(self.name + "p")
        self._stack.callback(self.peer_namespace.delete)
        self._veths = self.name + "vd", self.name + "vp"
        self.daemon_namespace.ip(
            f"link add {self._veths[0]} type veth peer name {self._veths[1]} "
            f"netns {self.peer_namespace.name}")
        for side, namespace in enumerate((self.daemon_namespace, self.peer_namespace)):
            self._raise_veth(side, namespace)

    def _raise_veth(self, side: int, namespace: Namespace) -> None:
        link, macs = self._veths[side], ("02:00:00:00:77:01", "02:00:00:00:77:02")
        commands = [f"link set {link} address {macs[side]} addrgenmode none up"]
        if self.family == 4:
            namespace.sysctl(f"ipv6/conf/{link}/disable_ipv6", "1")
        ours, theirs = OUTER[self.family][side], OUTER[self.family][1 - side]
        length, nodad = (24, "") if self.family == 4 else (64, " nodad")
        commands.append(f"address add {ours}/{length} dev {link}{nodad}")
        commands.append(f"neighbour replace {theirs} lladdr {macs[1 - side]} dev {link} "
                        "nud permanent")
        namespace.ip(*commands)

    def _configure(self) -> None:
        with secret_file(self.daemon.static.private) as private, \
                secret_file(self.preshared) as preshared:
            self.daemon.set("private-key", private, "listen-port", str(DAEMON_PORT))
            self.set_peer(*(["preshared-key", preshared] if any(self.preshared) else []),
                          "allowed-ips", f"{INNER[4][1]}/32,{INNER[6][1]}/128",
                          "endpoint", self.endpoint_of(self.tunnel))
        self.daemon_namespace.ip(
            f"link set {self.name} addrgenmode none mtu {MTU}",
            f"address add {INNER[4][0]}/24 dev {self.name}",
            f"address add {INNER[6][0]}/64 dev {self.name} nodad",
            f"link set {self.name} up")


@contextmanager
def secret_file(secret: bytes) -> Iterator[str]:
    """A file name from which `wg` reads the key in base64. The key is in a pipe, not on disk."""
    reader, writer = os.pipe()
    try:
        os.write(writer, base64_of(secret).encode() + b"\n")
        os.close(writer)
        yield f"/proc/{os.getpid()}/fd/{reader}"
    finally:
        os.close(reader)


def base64_of(key: bytes) -> str:
    return base64.b64encode(key).decode()
