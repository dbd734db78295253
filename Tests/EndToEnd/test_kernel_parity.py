"""What the kernel's WireGuard does and userspace daemons leave out, and what its own tests ask.

S-numbers are those of the kernel's selftests' scenarios as this project counts them.
"""

import socket
import time

import pytest

from daemon import Daemon, Keys, wg_tool
from machines import Machine, connect, wait_until
from topology import OUTER, PORT, Site, socket_address, two_machines, two_sites
from topology import wait_for_the_next_initiation
from traffic import assert_no_answer, family, ping, send_stream

ETH_P_ALL = 0x0003
SO_RCVBUFFORCE = 33
HANDSHAKE_TRAFFIC_CLASS = 0x88  # DSCP 34, ECN 0
NOT_ECT, ECT1, ECT0, CE = range(4)
ECN_NAMES = ["Not-ECT", "ECT(1)", "ECT(0)", "CE"]


class Capture:
    """IP packets that pass an interface of a machine, from now on."""

    def __init__(self, machine, interface):
        with machine.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM,
                                        socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        self.socket.bind((interface, ETH_P_ALL))
        self.socket.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def packets(self):
        """All that passed since the last call, as bytes from the IP header on."""
        found = []
        while True:
            try:
                packet, (_, protocol, *_) = self.socket.recvfrom(65535)
            except BlockingIOError:
                return found
            if protocol in (0x0800, 0x86DD):
                found.append(packet)

    def datagrams_from(self, address, port):
        """UDP from that source, as (traffic class, payload)."""
        return [(traffic_class(packet), udp_payload(packet)) for packet in self.packets()
                if source(packet) == (address, port)]


def version(packet):
    return packet[0] >> 4


def traffic_class(packet):
    return packet[1] if version(packet) == 4 else (int.from_bytes(packet[:2], "big") >> 4) & 0xFF


def header_and_protocol(packet):
    return ((packet[0] & 15) * 4, packet[9]) if version(packet) == 4 else (40, packet[6])


def source(packet):
    length, protocol = header_and_protocol(packet)
    if protocol != socket.IPPROTO_UDP:
        return None
    address = (socket.inet_ntop(socket.AF_INET, packet[12:16]) if version(packet) == 4
               else socket.inet_ntop(socket.AF_INET6, packet[8:24]))
    return address, int.from_bytes(packet[length:length + 2], "big")


def udp_payload(packet):
    return packet[header_and_protocol(packet)[0] + 8:]


def is_icmp(packet, *types):
    length, protocol = header_and_protocol(packet)
    return protocol in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6) and packet[length] in types


# ICMP errors: a packet that cannot be sent is answered, as on any router.

UNREACHABLE = {4: "Destination Host Unreachable", 6: "Address unreachable"}
NOBODY = {4: "192.168.241.77", 6: "fd00::77"}


@pytest.mark.parametrize("inner", [4, 6])
def test_a_destination_without_a_peer_is_unreachable(inner):
    with two_sites() as (a, _):
        said = assert_no_answer(a.machine, NOBODY[inner])
        assert UNREACHABLE[inner] in said
        assert f"From {NOBODY[inner]}" in said  # a source of our own would be a martian


@pytest.mark.parametrize("inner", [4, 6])
def test_a_peer_without_an_endpoint_is_unreachable(inner):
    with two_sites() as (a, b):
        assert UNREACHABLE[inner] in assert_no_answer(b.machine, a.inner[inner])
        ping(a.machine, b.inner[inner])  # now the endpoint is known
        ping(b.machine, a.inner[inner])


@pytest.mark.parametrize("inner", [4, 6])
def test_programs_see_the_error_at_once(inner):
    with two_sites() as (a, _), a.machine.entered(), \
            socket.socket(family(NOBODY[inner]), socket.SOCK_STREAM) as client:
        client.settimeout(5)
        begun = time.monotonic()
        with pytest.raises(OSError, match="No route to host"):
            client.connect((NOBODY[inner], 80))
        assert time.monotonic() - begun < 4  # IPv4 tolerates some before it gives up


@pytest.mark.parametrize("inner", [4, 6])
def test_a_forwarded_packet_is_answered_too(inner):
    """S21: a host behind the site dials a peer that was removed."""
    with two_sites() as (a, b), Machine("host") as host:
        connect(host, "eth0", a.machine, "lan", ["172.16.0.2/24", "fd02::2/64"],
                ["172.16.0.1/24", "fd02::1/64"])
        a.machine.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
        host.ip("route add default via 172.16.0.1\nroute add default via fd02::1")
        a.daemon.wg("set", "peer", b.keys.public, "remove")
        assert UNREACHABLE[inner] in assert_no_answer(host, b.inner[inner])


def test_errors_are_not_sent_to_everybody_nor_without_end():
    with two_sites() as (a, _), Capture(a.machine, "wg0") as capture, a.machine.entered(), \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"wg0")
        for destination in ("224.1.2.3", "255.255.255.255", "192.168.241.255"):
            client.sendto(b"to everybody", (destination, 9))
        time.sleep(0.2)
        packets = capture.packets()
        assert len(packets) >= 3 and not any(is_icmp(packet, 3) for packet in packets)

        for _ in range(2000):
            try:
                client.sendto(b"to nobody", (NOBODY[4], 9))
            except OSError:
                pass  # the error of an earlier one
        time.sleep(0.3)
        errors = [packet for packet in capture.packets() if is_icmp(packet, 3)]
        assert 1 <= len(errors) < 1000


# Marks of congestion and of importance.

def send_marked(sender, address, mark, port=7000):
    """A datagram with an ECN field."""
    with sender.entered(), socket.socket(family(address), socket.SOCK_DGRAM) as client:
        if ":" in address:
            client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, mark)
        else:
            client.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, mark)
        client.sendto(b"marked", (address, port))


def marked_receiver(machine, address, port=7000):
    with machine.entered():
        receiver = socket.socket(family(address), socket.SOCK_DGRAM)
    receiver.settimeout(3)
    if ":" in address:
        receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
    else:
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    receiver.bind((address, port))
    return receiver


def received_mark(receiver):
    payload, ((_, _, mark),), _, _ = receiver.recvmsg(100, 100)
    assert payload == b"marked"
    return mark[0] & 3


@pytest.mark.parametrize("outer", [4, 6])
def test_handshakes_wear_their_traffic_class(outer):
    with two_sites(outer=outer) as (a, b), Capture(b.machine, "eth0") as capture:
        ping(a.machine, b.inner[4])
        packets = capture.packets()
        seen = {(source(packet), udp_payload(packet)[0], traffic_class(packet))
                for packet in packets if source(packet)}
        near, far = (OUTER[outer][1], a.port), (OUTER[outer][2], b.port)
        assert {(near, 1, HANDSHAKE_TRAFFIC_CLASS), (far, 2, HANDSHAKE_TRAFFIC_CLASS),
                (near, 4, 0), (far, 4, 0)} == seen


@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("inner", [4, 6])
def test_congestion_marks_are_carried_out(inner, outer):
    """The tunnel's packets can be marked where the inner ones can; CE inside is the inner's own."""
    with two_sites(outer=outer) as (a, b):
        ping(a.machine, b.inner[inner])
        with marked_receiver(b.machine, b.inner[inner]) as receiver:
            for mark, expected in [(NOT_ECT, NOT_ECT), (ECT1, ECT1), (ECT0, ECT0), (CE, ECT0)]:
                with Capture(b.machine, "eth0") as capture:
                    send_marked(a.machine, b.inner[inner], mark)
                    assert received_mark(receiver) == mark
                    assert [found for found, _ in capture.datagrams_from(
                        OUTER[outer][1], a.port)] == [expected], ECN_NAMES[mark]


# RFC 6040, but nothing is dropped; outer ECT(1) over inner ECT(0) is left out, as the RFC and the
# kernel differ there.
MARKS_IN = {
    (NOT_ECT, NOT_ECT): NOT_ECT, (ECT0, NOT_ECT): NOT_ECT, (ECT1, NOT_ECT): NOT_ECT,
    (CE, NOT_ECT): NOT_ECT,
    (NOT_ECT, ECT0): ECT0, (ECT0, ECT0): ECT0, (CE, ECT0): CE,
    (NOT_ECT, ECT1): ECT1, (ECT0, ECT1): ECT1, (ECT1, ECT1): ECT1, (CE, ECT1): CE,
    (NOT_ECT, CE): CE, (ECT0, CE): CE, (ECT1, CE): CE, (CE, CE): CE,
}


@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("inner", [4, 6])
def test_congestion_marks_are_carried_in(inner, outer):
    with two_sites(outer=outer) as (a, b), \
            marked_receiver(b.machine, b.inner[inner]) as receiver:
        ping(a.machine, b.inner[inner])
        for outside in (NOT_ECT, ECT0, ECT1, CE):
            a.machine.nft(f"""
                table inet marks
                delete table inet marks
                table inet marks {{
                    chain out {{
                        type filter hook postrouting priority 0
                        oifname eth0 {"ip" if outer == 4 else "ip6"} ecn set {outside}
                    }}
                }}
            """)
            for (around, inside), expected in MARKS_IN.items():
                if around == outside:
                    send_marked(a.machine, b.inner[inner], inside)
                    assert received_mark(receiver) == expected, (
                        f"{ECN_NAMES[inside]} inside {ECN_NAMES[outside]}")


# Silence.

def test_an_interface_says_nothing_of_itself():
    """No router solicitations, no link-local address: nothing that would start a handshake."""
    with two_machines() as (alice, bob), Site(alice, 1, port=PORT + 1) as a, \
            Site(bob, 2, port=PORT + 2) as b:
        a.configure(b.as_peer(allowed_ips=["0.0.0.0/0", "::/0"], endpoint=f"10.0.0.2:{b.port}"))
        with Capture(bob, "eth0") as outside:
            alice.ip("link set wg0 up")
            with Capture(alice, "wg0") as inside:
                time.sleep(2.5)
                assert inside.packets() == []
            assert outside.datagrams_from("10.0.0.1", a.port) == []
        assert "inet6" not in alice.run("ip", "address", "show", "dev", "wg0")
        assert a.peer_status(b).tx == 0


LOW_ORDER_KEYS = [  # the points of small order, in all encodings that matter
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def test_low_order_keys_are_taken_as_peers_and_never_sent_to():
    """S38."""
    with Machine("alice") as alice, Daemon(alice) as daemon:
        daemon.wg("set", "private-key", "/dev/stdin", input=Keys().private)
        for key in LOW_ORDER_KEYS:
            answer = daemon.ask(f"set=1\npublic_key={key}\npersistent_keepalive_interval=1\n"
                                "endpoint=127.0.0.1:1111\n\n")
            assert answer == "errno=0\n\n"
        alice.ip("link set wg0 up")
        with alice.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.bind(("127.0.0.1", 1111))
            listener.settimeout(2)
            with pytest.raises(TimeoutError):
                listener.recv(2000)
        peers = daemon.show().peers
        assert len(peers) == 7 and all(peer.tx == 0 for peer in peers.values())


# Counters, keepalives, endpoints, sources.

def test_counters_are_exact():
    """S2: ten pings of 96 bytes padded, and each part of the handshake."""
    with two_sites(preshared=True) as (a, b):
        ping(a.machine, b.inner[4], count=10)
        near, far = a.peer_status(b), b.peer_status(a)
        assert near.rx == far.tx == 92 + 10 * (96 + 32) == 1372
        assert near.tx == far.rx
        assert near.tx in (148 + 10 * (96 + 32), 148 + 10 * (96 + 32) + 32)
        assert near.latest_handshake and far.latest_handshake


@pytest.mark.parametrize("last", ["the link goes up", "the private key is set"])
def test_a_keepalive_peer_is_sent_to_as_soon_as_possible(last):
    """S26, S27."""
    with two_machines() as (alice, bob), Site(alice, 1, port=PORT + 1) as a, \
            Site(bob, 2, port=PORT + 2) as b:
        b.configure(a.as_peer())
        b.bring_up()
        steps = {
            "the private key is set": lambda: a.daemon.wg(
                "set", "private-key", "/dev/stdin", input=a.keys.private),
            "the link goes up": lambda: alice.ip("link set wg0 up"),
        }
        a.daemon.wg("set", "listen-port", str(a.port), "peer", b.keys.public, "endpoint",
                    f"10.0.0.2:{b.port}", "persistent-keepalive", "10", "allowed-ips", "::/0")
        final = steps.pop(last)
        for step in steps.values():
            step()
        time.sleep(0.5)
        assert a.peer_status(b).tx == 0
        final()
        wait_until(lambda: a.peer_status(b).tx > 0, "something is sent at once", within=0.5)
        wait_until(lambda: b.peer_status(a).latest_handshake, "the handshake is made", within=1)


def test_a_keepalive_that_is_switched_on_is_sent_at_once():
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        before = a.peer_status(b).tx
        a.daemon.wg("set", "peer", b.keys.public, "persistent-keepalive", "100")
        wait_until(lambda: a.peer_status(b).tx == before + 32, "a keepalive is sent", within=0.5)


@pytest.mark.parametrize("address", ["10.0.0.11", "10.0.0.12", "fd00:aa::11", "fd00:aa::12"])
def test_the_answer_comes_from_the_address_that_was_dialled(address):
    """S23: not from the one that the route would choose."""
    with two_sites() as (a, b):
        b.machine.ip("\n".join(
            f"address add {each}{'/96' if ':' in each else '/24'} dev eth0"
            for each in ("10.0.0.11", "10.0.0.12", "fd00:aa::11", "fd00:aa::12")))
        endpoint = socket_address(address, b.port)
        a.daemon.wg("set", "peer", b.keys.public, "endpoint", endpoint)
        with Capture(a.machine, "eth0") as capture:
            ping(a.machine, b.inner[4], count=3)
            assert {source(packet)[0] for packet in capture.packets()
                    if source(packet) and source(packet)[1] == b.port} == {address}
        assert a.peer_status(b).endpoint == endpoint


def test_an_address_that_is_gone_is_used_no_more():
    """The source that a peer was answered from is removed: the next packet has another."""
    with two_sites() as (a, b):
        b.machine.ip("address add 10.0.0.11/32 dev eth0")
        a.daemon.wg("set", "peer", b.keys.public, "endpoint", f"10.0.0.11:{b.port}")
        ping(a.machine, b.inner[4])
        b.machine.ip("address del 10.0.0.11/32 dev eth0")
        ping(b.machine, a.inner[4], within=1)
        assert a.peer_status(b).endpoint == f"10.0.0.2:{b.port}"


@pytest.mark.parametrize("version, prefix, new", [
    (4, "10.0.0.2/32", "10.0.0.3"), (6, "fd00:aa::2/128", "fd00:aa::3")])
def test_a_better_route_changes_the_source(version, prefix, new):
    """S25: the source cached for a peer ends with the route that it came from."""
    with two_sites(outer=version) as (a, b):
        ping(a.machine, b.inner[4])
        connect(a.machine, "eth1", b.machine, "eth1")
        for machine in (a.machine, b.machine):
            machine.sysctl(ipv4__conf__all__rp_filter=0, ipv4__conf__eth0__rp_filter=0,
                           ipv4__conf__eth1__rp_filter=0)
        b.machine.ip("address add 10.0.0.2/32 dev eth1\naddress add fd00:aa::2/128 dev eth1 nodad")
        a.machine.ip("address add 10.0.0.3/32 dev eth1\naddress add fd00:aa::3/128 dev eth1 nodad")
        b.machine.ip("route add 10.0.0.3/32 dev eth1\nroute add fd00:aa::3/128 dev eth1")
        a.machine.ip(f"route add {prefix} dev eth1 src {new}")
        ping(a.machine, b.inner[4], within=1)
        assert b.peer_status(a).endpoint == socket_address(new, a.port)


@pytest.mark.parametrize("old, new", [
    ("10.0.0.1", "10.0.0.21"), ("fd00:aa::1", "fd00:aa::21")], ids=["IPv4", "IPv6"])
def test_a_changed_address_is_roamed_to(old, new):
    """S8, S9."""
    with two_sites(outer=6 if ":" in old else 4) as (a, b):
        ping(a.machine, b.inner[4])
        length = "96" if ":" in old else "24"
        a.machine.ip(f"address del {old}/{length} dev eth0\n"
                     f"address add {new}/{length} dev eth0{' nodad' if ':' in new else ''}")
        a.daemon.wg("set", "listen-port", "9998")
        ping(a.machine, b.inner[6], within=1)
        assert b.peer_status(a).endpoint == socket_address(new, 9998)


def test_a_peer_changes_the_family_of_its_endpoint():
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        a.daemon.wg("set", "peer", b.keys.public, "endpoint", f"[fd00:aa::2]:{b.port}")
        ping(a.machine, b.inner[4], within=1)
        assert b.peer_status(a).endpoint == f"[fd00:aa::1]:{a.port}"


def test_a_source_that_is_not_the_peers_is_dropped_though_it_roams():
    """S10: the longest prefix on the whole device owns the inner source."""
    with two_sites() as (a, b):
        a.daemon.wg("set", "peer", b.keys.public, "allowed-ips", "192.168.241.0/24")
        with a.machine.entered():
            receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with b.machine.entered():
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with receiver, sender:
            receiver.bind((a.inner[4], 1111))
            receiver.settimeout(1)
            ping(a.machine, b.inner[4])
            sender.sendto(b"X", (a.inner[4], 1111))
            assert receiver.recv(10) == b"X"
            a.daemon.wg("set", "peer", wg_tool("genpsk"), "allowed-ips", f"{b.inner[4]}/32")
            b.daemon.wg("set", "listen-port", "9997")
            sender.sendto(b"X", (a.inner[4], 1111))
            with pytest.raises(TimeoutError):
                receiver.recv(10)
        assert a.peer_status(b).endpoint == "10.0.0.2:9997"  # it was authentic


def test_a_tunnel_inside_the_tunnel():
    """S18: a second peer whose endpoint is the first one's inner address."""
    with two_sites() as (a, b), Site(b.machine, 9, name="wg1", port=5) as c:
        a.daemon.wg("set", "peer", c.keys.public, "endpoint", f"{b.inner[4]}:5",
                    "allowed-ips", "192.168.242.2/32")
        c.configure(a.as_peer(allowed_ips=[f"{a.inner[4]}/32"]))
        b.machine.ip("""
            address add 192.168.242.2/32 dev wg1
            link set wg1 mtu 1340 up
            rule add from 192.168.242.2 table 5
            route add default dev wg1 table 5""")
        a.machine.ip("route add 192.168.242.2/32 dev wg0 mtu 1340")
        ping(a.machine, "192.168.242.2", count=3, within=2)


def test_large_outer_packets_are_fragmented():
    """The path is narrower than the tunnel's packets; nothing is lost, whatever the offloads do."""
    with two_sites(cable_mtu=1280) as (a, b):
        ping(a.machine, b.inner[4])
        for sender, receiver, address in [(a, b, b.inner[4]), (b, a, a.inner[6])]:
            ping(sender.machine, address, size=1372 - 20, count=5)
            assert send_stream(sender.machine, receiver.machine, address, size=2_000_000) < 5


def test_the_last_session_survives_a_restart_of_the_other_end():
    """The other end comes back without its sessions: what it does not know is handshaken anew."""
    with two_sites() as (a, b):
        ping(a.machine, b.inner[4])
        b.machine.ip("link set wg0 down\nlink set wg0 up")
        wait_for_the_next_initiation()
        ping(b.machine, a.inner[4], within=2)
        ping(a.machine, b.inner[4])
