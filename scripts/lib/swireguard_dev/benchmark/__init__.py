"""Benchmarks of whole tunnels: the parts of scripts/benchmark."""
