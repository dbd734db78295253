"""Paths of this repository, and of the daemons under test."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]
OURS = os.environ.get("SWIREGUARD", str(ROOT / ".build/release/swireguard-go"))
WIREGUARD_GO = os.environ.get("WIREGUARD_GO", str(ROOT / ".cache/peer/wireguard-go"))
WIREGUARD_GO_2022 = os.environ.get("WIREGUARD_GO_2022",
                                   str(ROOT / ".cache/peer/wireguard-go-2022"))
