"""The outer traffic class: congestion marks through the tunnel, priority for handshakes.

The kernel does this; other userspace daemons do not.
"""

import socket

import pytest

from swireguard_dev.capture import Capture, source, traffic_class, udp_payload
from swireguard_dev.topology import OUTER, two_sites
from swireguard_dev.traffic import family, ping

HANDSHAKE = 0x88  # DSCP 34, ECN 0
NOT_ECT, ECT1, ECT0, CE = range(4)
ECN_NAMES = ["Not-ECT", "ECT(1)", "ECT(0)", "CE"]


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


@pytest.mark.scenario("K6", "handshakes have TOS 0x88, data does not")
@pytest.mark.parametrize("outer", [4, 6])
def test_handshakes_have_their_traffic_class(outer, seen):
    with two_sites(outer=outer) as (a, b), Capture(b.machine, "eth0") as capture:
        ping(a.machine, b.inner[4])
        packets = capture.packets()
        found = {(source(packet), udp_payload(packet)[0], traffic_class(packet))
                 for packet in packets if source(packet)}
        near, far = (OUTER[outer][1], a.port), (OUTER[outer][2], b.port)
        expected = {(near, 1, HANDSHAKE), (far, 2, HANDSHAKE), (near, 4, 0), (far, 4, 0)}
        assert found == expected, "message types with a wrong class: " + ", ".join(
            f"{kind} has {mark:#x}" for _, kind, mark in sorted(found - expected, key=str))
        seen("0x88 on initiation and response, 0 on data")


@pytest.mark.scenario("K7", "ECN of the inner packet on the outer")
@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("inner", [4, 6])
def test_outbound_congestion_marks(inner, outer, seen):
    """Outer packets are ECN-capable if the inner ones are; inner CE stays inside."""
    with two_sites(outer=outer) as (a, b):
        ping(a.machine, b.inner[inner])
        with marked_receiver(b.machine, b.inner[inner]) as receiver:
            for mark, expected in [(NOT_ECT, NOT_ECT), (ECT1, ECT1), (ECT0, ECT0), (CE, ECT0)]:
                with Capture(b.machine, "eth0") as capture:
                    send_marked(a.machine, b.inner[inner], mark)
                    assert received_mark(receiver) == mark
                    found = [outside for outside, _ in capture.datagrams_from(
                        OUTER[outer][1], a.port)]
                    assert found == [expected], (
                        f"{ECN_NAMES[mark]} inside: {ECN_NAMES[expected]} is expected outside, but it is "
                        + ", ".join(ECN_NAMES[each] for each in found))
        seen("Not-ECT, ECT(0), ECT(1) copied, ECT(0) for CE")


# RFC 6040, but without drops. (The kernel keeps the inner ECT(0) under an outer ECT(1).)
MARKS_IN = {
    (NOT_ECT, NOT_ECT): NOT_ECT, (ECT0, NOT_ECT): NOT_ECT, (ECT1, NOT_ECT): NOT_ECT,
    (CE, NOT_ECT): NOT_ECT,
    (NOT_ECT, ECT0): ECT0, (ECT0, ECT0): ECT0, (ECT1, ECT0): ECT1, (CE, ECT0): CE,
    (NOT_ECT, ECT1): ECT1, (ECT0, ECT1): ECT1, (ECT1, ECT1): ECT1, (CE, ECT1): CE,
    (NOT_ECT, CE): CE, (ECT0, CE): CE, (ECT1, CE): CE, (CE, CE): CE,
}


@pytest.mark.scenario("K8", "ECN of the outer packet on the inner, sixteen cases")
@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("inner", [4, 6])
def test_inbound_congestion_marks(inner, outer, seen):
    assert len(MARKS_IN) == 16
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
        seen("all sixteen as in RFC 6040, and nothing dropped")
