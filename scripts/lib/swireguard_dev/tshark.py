"""tshark reads captured packets, and decrypts WireGuard with a key log."""

import base64
import os
import struct
import subprocess

LINKTYPE_RAW = 101  # packets begin with their IP header


def pcap(packets):
    """A capture file with these packets, each from the IP header on, a second apart."""
    header = struct.pack("=LHHlLLL", 0xA1B2C3D4, 2, 4, 0, 0, 0xFFFF, LINKTYPE_RAW)
    return header + b"".join(struct.pack("=LLLL", second, 0, len(packet), len(packet)) + packet
                             for second, packet in enumerate(packets))


def key_log(static, remote, ephemeral, preshared=None):
    """The key log of one handshake: raw keys of the local end, and the remote end's public key."""
    lines = [("LOCAL_STATIC_PRIVATE_KEY", static), ("REMOTE_STATIC_PUBLIC_KEY", remote),
             ("LOCAL_EPHEMERAL_PRIVATE_KEY", ephemeral)]
    if preshared is not None:
        lines.append(("PRESHARED_KEY", preshared))
    return "".join(f"{name} = {base64.b64encode(key).decode()}\n" for name, key in lines)


def dissected(packets, keys, fields, directory):
    """What tshark finds in each packet: a tuple of lists, the values of each field in order."""
    capture, log = directory / "capture.pcap", directory / "keys.log"
    capture.write_bytes(pcap(packets))
    log.write_text(keys)
    command = ["tshark", "-n", "-r", str(capture), "-o", f"wg.keylog_file:{log}", "-T", "fields",
               "-E", "separator=|", "-E", "aggregator=;"]
    for field in fields:
        command += ["-e", field]
    # Without the settings of the user who runs the tests.
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False,
                          env=os.environ | {"HOME": str(directory), "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stderr
    rows = [[value.split(";") if value else [] for value in line.split("|")]
            for line in done.stdout.splitlines()]
    assert len(rows) == len(packets), done.stdout + done.stderr
    return rows
