"""Measures the rows: in each round, each row, with the implementations in turn."""

import contextlib
import subprocess
import sys

from swireguard_dev.benchmark import host
from swireguard_dev.benchmark import idle
from swireguard_dev.benchmark.failure import Failure
from swireguard_dev.benchmark.implementation import CABLE
from swireguard_dev.benchmark.interface import NAME
from swireguard_dev.benchmark.results import Results
from swireguard_dev.benchmark.tunnel import Tunnel


class Runner:
    def __init__(self, options, implementations, rows):
        """options: rounds, seconds, idle, settle, mtu, congestion_control. rows: [Row]."""
        self.options = options
        self.implementations = implementations
        self.rows = rows
        self.results = Results(host.describe(options.mtu, options.congestion_control))
        for one in implementations:
            self.results.implementations[one.name] = one.description()

    def seconds(self, with_idle):
        """The estimated duration."""
        on_tunnel = [row for row in self.rows if row.on_tunnel]
        alone = [row for row in self.rows if not row.on_tunnel]
        one = sum(row.cost * self.options.seconds + row.fixed_cost for row in on_tunnel)
        two = sum(row.fixed_cost for row in alone)
        tunnels = len(self.implementations)
        lone = sum(hasattr(each, "interface") for each in self.implementations)
        total = self.options.rounds * (one * tunnels + two * lone)
        return total + (self.options.idle + self.options.settle if with_idle else 0)

    def run(self, after_round):
        """after_round: called after each round."""
        for number in range(self.options.rounds):
            self.round = f"round {number + 1} of {self.options.rounds}"
            # Each round begins with another implementation.
            first = number % len(self.implementations)
            turn = self.implementations[first:] + self.implementations[:first]
            self.run_on_tunnels(turn)
            for row in self.rows:
                if not row.on_tunnel:
                    for one in turn:
                        if hasattr(one, "interface"):
                            self.measure(row, one, one)
            after_round()

    def run_on_tunnels(self, turn):
        rows = [row for row in self.rows if row.on_tunnel]
        with contextlib.ExitStack() as stack:
            tunnels = {}
            for one in turn if rows else []:
                with self.noting_failure("all rows with traffic", one.name):
                    tunnel = Tunnel(one, self.options.mtu, self.options.congestion_control)
                    tunnels[one.name] = stack.enter_context(tunnel)
                    self.results.implementations[one.name]["interface"] = host.interface(
                        tunnel.alice, "eth0" if one.name == CABLE else NAME)
            for row in rows:
                for one in turn:
                    if one.name in tunnels:
                        self.measure(row, one, tunnels[one.name])

    def measure(self, row, implementation, subject):
        with self.noting_failure(row.name, implementation.name):
            values = row.measure(subject, self.options.seconds)
            self.results.add(row.name, row.figures, implementation.name, values)
            for figure, value in zip(row.figures, values):
                if value is not None:
                    self.say(implementation.name, figure, value)

    def run_idle(self):
        daemons = [one for one in self.implementations if one.has_daemon]
        self.round = f"idle for {self.options.settle} s and {self.options.idle} s"
        print(f"{self.round} …", file=sys.stderr, flush=True)
        figure = idle.figure(self.options.idle)
        with self.noting_failure(idle.NAME_OF_ROW, "all"):
            counts = idle.measure(daemons, self.options.idle, self.options.settle)
            for name, count in counts.items():
                self.results.add(idle.NAME_OF_ROW, [figure], name, [count])
                self.say(name, figure, count)

    @contextlib.contextmanager
    def noting_failure(self, row, name):
        try:
            yield
        except (Failure, AssertionError, RuntimeError, OSError, LookupError,
                subprocess.SubprocessError) as error:
            reason = str(error) if isinstance(error, Failure) else f"{error!r}"
            self.results.fail(row, name, reason)
            print(f"{self.round}  {name} failed at {row}: {reason}", file=sys.stderr, flush=True)

    def say(self, name, figure, value):
        print(f"{self.round}  {figure.title:<45} {name:<20} {value:10.{figure.digits}f} "
              f"{figure.unit}", file=sys.stderr, flush=True)
