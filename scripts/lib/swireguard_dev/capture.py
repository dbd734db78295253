"""Captures IP packets on an interface, and reads their headers."""

import socket

ETH_P_ALL = 0x0003
SO_RCVBUFFORCE = 33


class Capture:
    """Captures the IP packets that pass an interface of a machine."""

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
        """The packets since the last call, each from the IP header on."""
        found = []
        while True:
            try:
                packet, (_, protocol, *_) = self.socket.recvfrom(65535)
            except BlockingIOError:
                return found
            if protocol in (0x0800, 0x86DD):
                found.append(packet)

    def datagrams_from(self, address, port):
        """(traffic class, payload) of UDP datagrams from a source, since the last call."""
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
