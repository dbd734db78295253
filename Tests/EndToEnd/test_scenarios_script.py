"""scripts/scenarios itself: it reports what a daemon lacks, and only that."""

import json
import subprocess

import pytest

from swireguard_dev.project import ROOT, WIREGUARD_GO

LACKED = ["S21"]  # by wireguard-go: it sends no ICMP errors
NOT_LACKED = ["S14", "S20"]  # in the same topology


def scenarios(tmp_path, *options):
    """Runs the script; returns its status, its output, and the results."""
    file = tmp_path / "results.json"
    done = subprocess.run([ROOT / "scripts/scenarios", "--json", file, *options],
                          text=True, capture_output=True, timeout=50)
    results = json.loads(file.read_text())["scenarios"] if file.exists() else []
    return done.returncode, done.stdout, results


@pytest.mark.parametrize("name, result", [
    *((name, "failed") for name in LACKED), *((name, "passed") for name in NOT_LACKED)])
def test_wireguard_go_fails_the_known_scenarios(tmp_path, name, result):
    status, said, results = scenarios(tmp_path, "--peer", WIREGUARD_GO, "--filter", name)
    assert [(each["name"], each["result"]) for each in results] == [(name, result)], said
    assert status == (1 if result == "failed" else 0)
    line = next(line for line in said.splitlines() if line.startswith(name))
    assert results[0]["why"] and results[0]["why"] in line
    if result == "failed":
        assert "FAILED" in line and "no ICMP error came" in line


def test_a_filter_without_matches_is_an_error(tmp_path):
    status, _, results = scenarios(tmp_path, "--filter", "no such scenario")
    assert (status, results) == (2, [])


def test_a_daemon_that_does_not_start_is_a_failure(tmp_path):
    status, said, results = scenarios(tmp_path, "--peer", "/bin/false", "--filter", "S33")
    assert (status, [each["result"] for each in results]) == (1, ["failed"]), said
