"""flood.py ADDRESS PORT KIND [PUBLIC_KEY]: initiations that nobody made, so many a second, until it ends.

KIND is right-mac1, for which PUBLIC_KEY in hexadecimal digits is the receiver's, or wrong-mac1. It runs
on the machine from which the flood is to come.
"""

import random
import socket
import sys
import time

from swireguard_dev.datagrams import initiation

RATE = 20_000  # a second: some four times what a core could answer
BURST = 20     # of them at a time, so that the clock is not all that it looks at


def main(address, port, kind, public_key=""):
    key = None
    if kind == "right-mac1":
        key = bytes.fromhex(public_key)
    chance = random.Random(5)
    messages = [initiation(chance, key) for _ in range(500)]
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    destination = (address, int(port))
    sent, begun = 0, time.monotonic()
    while True:
        for _ in range(BURST):
            out.sendto(messages[sent % len(messages)], destination)
            sent += 1
        time.sleep(max(begun + sent / RATE - time.monotonic(), 0))


if __name__ == "__main__":
    main(*sys.argv[1:])
