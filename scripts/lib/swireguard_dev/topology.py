"""Whole tunnels: two machines on one link, each with a daemon that stock `wg` configures.

            alice                                    bob
    wg0  192.168.241.1, fd00::1              wg0  192.168.241.2, fd00::2
    eth0 10.0.0.1, fd00:aa::1  ───────────── eth0 10.0.0.2, fd00:aa::2
"""

import contextlib
import time
from dataclasses import dataclass, field

from swireguard_dev.daemon import Daemon, Keys, wg_tool
from swireguard_dev.kernel_interface import KERNEL, KernelInterface
from swireguard_dev.machines import Machine, connect, wait_until

MTU = 1420
PORT = 51820


@dataclass
class Peer:
    """A [Peer] section of a configuration file."""

    public_key: str
    allowed_ips: list = field(default_factory=list)
    endpoint: str = None
    preshared_key: str = None
    keepalive: int = None

    def section(self):
        lines = ["[Peer]", f"PublicKey = {self.public_key}"]
        if self.preshared_key:
            lines.append(f"PresharedKey = {self.preshared_key}")
        if self.allowed_ips:
            lines.append(f"AllowedIPs = {', '.join(self.allowed_ips)}")
        if self.endpoint:
            lines.append(f"Endpoint = {self.endpoint}")
        if self.keepalive is not None:
            lines.append(f"PersistentKeepalive = {self.keepalive}")
        return "\n".join(lines) + "\n"


class Site:
    """One end of a tunnel: a machine with a daemon, keys and inner addresses.

    number: determines the inner addresses. program: the daemon's path, or KERNEL.
    """

    def __init__(self, machine, number, program=None, port=PORT, **daemon_options):
        self.machine = machine
        self.keys = Keys()
        self.port = port
        self.inner = {4: f"192.168.241.{number}", 6: f"fd00::{number:x}"}
        self.daemon = (KernelInterface(machine, **daemon_options) if program is KERNEL
                       else Daemon(machine, program, **daemon_options))

    def __enter__(self):
        self.daemon.__enter__()
        return self

    def __exit__(self, *exception):
        return self.daemon.__exit__(*exception)

    @property
    def host_routes(self):
        """The allowed IPs of this site."""
        return [f"{self.inner[4]}/32", f"{self.inner[6]}/128"]

    def as_peer(self, **options):
        """This site as a [Peer] section."""
        return Peer(self.keys.public, options.pop("allowed_ips", self.host_routes), **options)

    def configuration(self, *peers):
        interface = f"[Interface]\nPrivateKey = {self.keys.private}\nListenPort = {self.port}\n"
        return "\n".join([interface, *(peer.section() for peer in peers)])

    def configure(self, *peers):
        self.daemon.wg("setconf", "/dev/stdin", input=self.configuration(*peers))

    def bring_up(self, mtu=MTU):
        """Gives the interface its inner addresses, and brings it up."""
        name = self.daemon.name
        self.machine.ip(f"""
            address add {self.inner[4]}/24 dev {name}
            address add {self.inner[6]}/112 dev {name} nodad
            link set {name} mtu {mtu} up""")

    def go_down_and_up(self):
        """Takes the interface down and up, and waits until the daemon notices.

        The daemon then has no sessions.
        """
        before = self.daemon.log_text().count("the interface is up")
        self.machine.ip(f"link set {self.daemon.name} down\nlink set {self.daemon.name} up\n"
                        f"address add {self.inner[6]}/112 dev {self.daemon.name} nodad")
        wait_until(lambda: self.daemon.log_text().count("the interface is up") > before,
                   "the daemon sees its interface go down and up")

    def peer_status(self, other):
        return self.daemon.show().peers[other.keys.public]


OUTER = {
    4: {1: "10.0.0.1", 2: "10.0.0.2"},
    6: {1: "fd00:aa::1", 2: "fd00:aa::2"},
}


def wait_for_the_next_initiation():
    """Waits 50 ms: a responder accepts one initiation per peer in 20 ms, and a retry takes 5 s."""
    time.sleep(0.05)


def socket_address(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@contextlib.contextmanager
def two_machines(mtu=1500):
    """Two machines on one link, with IPv4 and IPv6."""
    with Machine("alice") as alice, Machine("bob") as bob:
        connect(alice, "eth0", bob, "eth0", mtu=mtu,
                left_addresses=["10.0.0.1/24", "fd00:aa::1/96"],
                right_addresses=["10.0.0.2/24", "fd00:aa::2/96"])
        yield alice, bob


@contextlib.contextmanager
def two_sites(left=None, right=None, outer=4, preshared=False, mtu=MTU, cable_mtu=1500,
              **daemon_options):
    """A configured tunnel. Only the left site has an endpoint, so it initiates."""
    key = wg_tool("genpsk") if preshared else None
    with two_machines(cable_mtu) as (alice, bob), \
            Site(alice, 1, left, PORT + 1, **daemon_options) as a, \
            Site(bob, 2, right, PORT + 2, **daemon_options) as b:
        a.configure(b.as_peer(preshared_key=key,
                              endpoint=socket_address(OUTER[outer][2], b.port)))
        b.configure(a.as_peer(preshared_key=key))
        for site in (a, b):
            site.bring_up(mtu)
        yield a, b
