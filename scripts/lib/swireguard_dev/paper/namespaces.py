"""Network namespaces, and commands and sockets in them."""

import ctypes
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A named network namespace, as in `ip netns`, with loopback up."""

    def __init__(self, name: str):
        self.name = name
        run("ip", "netns", "add", name)
        self.ip("link set lo up")

    def delete(self) -> None:
        subprocess.run(["ip", "netns", "delete", self.name], check=False)

    def ip(self, *commands: str) -> None:
        """Runs `ip` commands in one process."""
        run("ip", "-n", self.name, "-batch", "-", text="\n".join(commands) + "\n")

    def spawn(self, *command: str, **options) -> subprocess.Popen:
        """Starts a command. `ip netns exec` replaces itself, so the process is the command."""
        return subprocess.Popen(["ip", "netns", "exec", self.name, *command], **options)

    def sysctl(self, path: str, value: str) -> None:
        with self.entered():
            Path("/proc/sys/net", path).write_text(value)

    def packets_through(self, link: str) -> tuple[int, int]:
        """The numbers of received and sent packets of a link, from /proc/net/dev."""
        with self.entered():
            lines = Path("/proc/thread-self/net/dev").read_text().splitlines()
        fields = next(line.split(":")[1].split() for line in lines
                      if line.strip().startswith(link + ":"))
        return int(fields[1]), int(fields[9])

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Moves this thread into the namespace for the body. Sockets stay in the namespace."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.name}") as there:
            _setns(there.fileno())
            try:
                yield
            finally:
                _setns(home.fileno())

    def udp_socket(self, family: int, port: int = 0) -> socket.socket:
        """A bound UDP socket of this namespace; `family` is 4 or 6."""
        with self.entered():
            made = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET,
                                 socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 8 << 20)
        made.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 8 << 20)
        made.bind(("", port))
        return made


@dataclass(frozen=True)
class Sent:
    """A packet that left through a link. `udp` is None unless it is a whole UDP datagram."""

    packet: bytes
    udp: bytes | None
    traffic_class: int

    @property
    def is_icmpv6(self) -> bool:
        """Neighbor discovery and group membership, which the kernel sends at any time.

        Membership reports have a hop-by-hop header (next header 0).
        """
        return self.packet[0] >> 4 == 6 and self.packet[6] in (0, 58)


class Tap:
    """Captures exactly the packets that leave a namespace through one of its links."""

    def __init__(self, namespace: Namespace, link: str):
        self._namespace, self._link = namespace, link
        with namespace.entered():
            # Without a protocol, the socket receives nothing before the filter is attached.
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            _attach_outgoing_filter(self._socket)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 32 << 20)
            self._socket.bind((link, _ETH_P_ALL))
        self._socket.setblocking(False)
        self._counted = self._settled_counter()

    def close(self) -> None:
        self._socket.close()

    def drain(self) -> list[Sent]:
        """The packets since the last call, in order. Fails if the link's counter does not agree."""
        packets: list[Sent] = []
        # Read the counter first. Packets that leave from now on belong to the next call.
        counted = self._link_counter()
        while len(packets) < counted - self._counted:
            try:
                packets.append(_parsed(self._socket.recv(1 << 17)))
            except BlockingIOError:
                raise AssertionError(
                    f"{self._link} sent {counted - self._counted} packets, "
                    f"the tap captured {len(packets)}") from None
        self._counted = counted
        return packets

    def _settled_counter(self) -> int:
        """Discards all captured packets; returns the counter at that moment."""
        while True:
            counted = self._link_counter()
            try:
                while True:
                    self._socket.recv(1)
            except BlockingIOError:
                pass
            if self._link_counter() == counted:
                return counted

    def _link_counter(self) -> int:
        return self._namespace.packets_through(self._link)[1]


def run(*command: str, text: str | None = None) -> str:
    """The output of a command. Raises RuntimeError with its error output if it fails."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}\n{text or ''}")
    return done.stdout


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns: " + os.strerror(ctypes.get_errno()))


def _parsed(packet: bytes) -> Sent:
    if packet[0] >> 4 == 4:
        fragmented = struct.unpack_from(">H", packet, 6)[0] & 0x3FFF
        is_udp = packet[9] == socket.IPPROTO_UDP and not fragmented
        udp = packet[(packet[0] & 15) * 4 + 8:struct.unpack_from(">H", packet, 2)[0]]
        traffic_class = packet[1]
    else:
        is_udp = packet[6] == socket.IPPROTO_UDP
        udp = packet[48:40 + struct.unpack_from(">H", packet, 4)[0]]
        traffic_class = struct.unpack_from(">H", packet)[0] >> 4 & 0xFF
    return Sent(packet, udp if is_udp else None, traffic_class)


def _attach_outgoing_filter(packet_socket: socket.socket) -> None:
    """Attaches a classic BPF program that accepts only PACKET_OUTGOING packets."""
    program = struct.pack(
        "=" + "HBBL" * 4,
        0x28, 0, 0, 0xFFFFF000 + 4,  # ldh [SKF_AD_OFF + SKF_AD_PKTTYPE]
        0x15, 0, 1, 4,               # jeq #PACKET_OUTGOING
        0x06, 0, 0, 0xFFFFFFFF,      # ret #-1
        0x06, 0, 0, 0,               # ret #0
    )
    buffer = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("@HP", 4, ctypes.addressof(buffer))
    packet_socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)


_ETH_P_ALL = 0x0003
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE, _SO_ATTACH_FILTER = 32, 33, 26
