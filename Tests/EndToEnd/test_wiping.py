"""Wiping all sessions, before and after the memory of a machine is copied."""

from swireguard_dev.capture import Capture
from swireguard_dev.topology import OUTER, two_sites, wait_for_the_next_initiation
from swireguard_dev.traffic import ping

INITIATION, DATA = 1, 4
WIPE = "set=1\nwipe_sessions=true\n\n"


def messages_from(site, number, capture):
    """The WireGuard messages that a site sent since the last call."""
    return [message for _, message in capture.datagrams_from(OUTER[4][number], site.port)]


def indices(messages):
    """The receiver indices of data messages: one for each session."""
    return {message[4:8] for message in messages if message[0] == DATA}


def expect_new_keys(a, b, capture, wipe):
    """Wipes the sessions of `a`. The next packet arrives, under new keys, without a pause."""
    ping(a.machine, b.inner[4])
    old = indices(messages_from(a, 1, capture))
    assert len(old) == 1
    wait_for_the_next_initiation()
    wipe()
    # The last handshake is younger than Rekey-Timeout, 5 s.
    ping(a.machine, b.inner[4], within=3)
    sent = messages_from(a, 1, capture)
    assert sent[0][0] == INITIATION
    assert len(indices(sent)) == 1 and not indices(sent) & old


def test_a_wipe_by_the_socket_replaces_the_keys_at_once():
    with two_sites() as (a, b), Capture(b.machine, "eth0") as capture:
        def wipe():
            assert a.daemon.ask(WIPE) == "errno=0\n\n"

        expect_new_keys(a, b, capture, wipe)
        assert "wiped all sessions: " in a.daemon.log_text()
        # A set with an error wipes nothing.
        assert a.daemon.ask("set=1\nwipe_sessions=true\nlisten_port=x\n\n") == "errno=-22\n\n"
        ping(a.machine, b.inner[4])
        assert INITIATION not in [message[0] for message in messages_from(a, 1, capture)]
