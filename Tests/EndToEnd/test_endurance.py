"""Short forms of scripts/chaos and scripts/over-rate, which run for ten minutes by default."""

import subprocess

import pytest

from swireguard_dev.project import OURS, ROOT


def run(script, *options):
    result = subprocess.run([ROOT / "scripts" / script, *map(str, options), "--program", OURS],
                            capture_output=True, text=True, timeout=100)
    print(result.stdout)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.long
@pytest.mark.limit(120)
def test_many_hands_on_one_tunnel():
    said = run("chaos", "--seconds", 20)
    assert "0 failures" in said and "peers added and removed" in said


@pytest.mark.long
@pytest.mark.limit(120)
def test_memory_is_bounded_above_the_daemons_capacity():
    assert "dropped by the full socket" in run("over-rate", "--seconds", 10)
