"""Stock `wg-quick` with WG_QUICK_USERSPACE_IMPLEMENTATION."""

import os
import pathlib

import pytest

from swireguard_dev.machines import wait_until
from swireguard_dev.project import OURS
from swireguard_dev.topology import OUTER, PORT, Site, two_machines
from swireguard_dev.traffic import ping, send_stream

CONFIGURATION = "/run/wg-quick/wg0.conf"


class QuickSite:
    """Alice's interface is managed by `wg-quick`; Bob's daemon runs all the time."""

    def __init__(self, machine, bob):
        self.machine = machine
        self.bob = bob
        self.site = Site(machine, 1, port=PORT + 1)  # provides keys and addresses; never started
        self.file = pathlib.Path(machine.path(CONFIGURATION))
        self.file.parent.mkdir(mode=0o700)

    def write(self, peer, interface=""):
        self.file.touch(mode=0o600)
        head = (f"[Interface]\nAddress = {self.site.inner[4]}/24, {self.site.inner[6]}/112\n"
                f"{interface}")
        self.file.write_text(
            head + self.site.configuration(peer).removeprefix("[Interface]\n"))

    def quick(self, verb):
        """Returns only if the daemon closes its standard output."""
        environment = {"WG_QUICK_USERSPACE_IMPLEMENTATION": OURS}
        return self.machine.run("env", "-u", "LOG_LEVEL", "wg-quick", verb, CONFIGURATION,
                                environment=environment, leaves_processes=True)

    def running(self):
        return self.machine.processes(OURS)


@pytest.fixture
def alice():
    with two_machines() as (machine, other), Site(other, 2, port=PORT + 2) as bob:
        alice = QuickSite(machine, bob)
        bob.configure(alice.site.as_peer())
        bob.bring_up()
        yield alice


def test_up_creates_a_working_interface_and_down_leaves_nothing(alice):
    bob = alice.bob
    alice.write(bob.as_peer(endpoint=f"{OUTER[4][2]}:{bob.port}"))
    for _ in range(2):
        alice.quick("up")
        assert len(alice.running()) == 1, "wg-quick started no daemon: does this kernel have the module?"
        for version in (4, 6):
            ping(alice.machine, bob.inner[version], count=3)
        assert "mtu 1420" in alice.machine.run("ip", "link", "show", "wg0")
        send_stream(alice.machine, bob.machine, bob.inner[4], size=5_000_000)
        alice.quick("down")
        assert not alice.machine.has_link("wg0")
        wait_until(lambda: not alice.running(), "the daemon ends", within=10)
        assert not os.path.lexists(alice.machine.path("/run/wireguard/wg0.sock"))


def test_strip_prints_input_for_wg(alice):
    alice.write(alice.bob.as_peer(), interface="MTU = 1380\nPostUp = true\n")
    stripped = alice.quick("strip")
    assert "Address" not in stripped and "PostUp" not in stripped and "MTU" not in stripped
    alice.quick("up")
    assert "mtu 1380" in alice.machine.run("ip", "link", "show", "wg0")
    alice.machine.run("wg", "setconf", "wg0", "/dev/stdin", input=stripped)
    assert alice.bob.keys.public in alice.machine.run("wg", "show", "wg0", "peers")
    alice.quick("down")


def test_save_writes_the_running_configuration(alice):
    bob = alice.bob
    alice.write(bob.as_peer(endpoint=f"{OUTER[4][2]}:{bob.port}"), "SaveConfig = true\n")
    alice.quick("up")
    alice.machine.run("wg", "set", "wg0", "peer", bob.keys.public, "persistent-keepalive", "21")
    alice.quick("save")
    saved = alice.file.read_text()
    assert "PersistentKeepalive = 21" in saved
    assert f"PrivateKey = {alice.site.keys.private}" in saved
    assert f"Address = {alice.site.inner[4]}/24" in saved
    alice.machine.run("wg", "set", "wg0", "peer", bob.keys.public, "persistent-keepalive", "22")
    alice.quick("down")
    assert "PersistentKeepalive = 22" in alice.file.read_text()
    alice.quick("up")
    assert "22" in alice.machine.run("wg", "show", "wg0", "persistent-keepalive")
    ping(alice.machine, bob.inner[4])
    alice.quick("down")


@pytest.mark.scenario("K10", "wg-quick sets up a full tunnel")
@pytest.mark.parametrize("outer", [4, 6])
def test_a_full_tunnel_carries_all_traffic_except_its_own(alice, outer, seen):
    """S20: default routes of both families, with mark, table and rule."""
    bob = alice.bob
    alice.machine.ip("route add default via 10.0.0.2\nroute add default via fd00:aa::2")
    bob.machine.ip("address add 198.51.100.7/32 dev lo\naddress add 2001:db8::7/128 dev lo nodad")
    endpoint = {4: f"10.0.0.2:{bob.port}", 6: f"[fd00:aa::2]:{bob.port}"}[outer]
    alice.write(bob.as_peer(allowed_ips=["0.0.0.0/0", "::/0"], endpoint=endpoint))

    alice.quick("up")
    mark = alice.machine.run("wg", "show", "wg0", "fwmark").strip()
    assert mark != "off"
    for address in ("198.51.100.7", "2001:db8::7"):
        assert " dev wg0 " in alice.machine.run("ip", "route", "get", address)
        assert " dev eth0 " in alice.machine.run("ip", "route", "get", address, "mark", mark)
        ping(alice.machine, address, count=100)
        send_stream(alice.machine, bob.machine, address, size=5_000_000)
    transfer = alice.machine.run("wg", "show", "wg0", "transfer").split()
    assert int(transfer[1]) > 200 * 128 and int(transfer[2]) > 10_000_000
    assert " dev eth0 " in alice.machine.run("ip", "route", "get", "10.0.0.2")  # the LAN stays

    alice.quick("down")
    for family in ("-4", "-6"):
        assert "fwmark" not in alice.machine.run("ip", family, "rule")
        assert "suppress_prefixlength" not in alice.machine.run("ip", family, "rule")
    assert " dev eth0 " in alice.machine.run("ip", "route", "get", "198.51.100.7")
    seen(f"mark {mark}: 200 pings and 10 MB over IPv4 and IPv6, nothing left after down")


def test_a_bad_configuration_leaves_nothing_behind(alice):
    alice.file.touch(mode=0o600)
    alice.file.write_text(f"[Interface]\nPrivateKey = {alice.site.keys.private}\n[Peer]\n"
                          "PublicKey = nonsense\n")
    result = alice.machine.attempt(
        "wg-quick", "up", CONFIGURATION, leaves_processes=True,
        environment={"WG_QUICK_USERSPACE_IMPLEMENTATION": OURS})
    assert result.returncode != 0
    assert not alice.machine.has_link("wg0")
    wait_until(lambda: not alice.running(), "the daemon ends", within=10)
