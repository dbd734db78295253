"""scripts/benchmark: measure SwireGuard and other WireGuard implementations in alternating order."""

import os
import pathlib
import signal
import sys

from swireguard_dev.benchmark import (failure, host, idle, implementation, plot, results, rows,
                                      runner, table)
from swireguard_dev.command_line import Parser, positive


def parsed(arguments):
    names = [row.name for row in rows.ROWS] + [idle.NAME_OF_ROW]
    parser = Parser("benchmark")
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--kernel", action="store_true")
    parser.add_argument("--only", type=listed)
    parser.add_argument("--rows", type=listed)
    parser.add_argument("--rounds", type=positive)
    parser.add_argument("--seconds", type=positive)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--congestion-control")
    parser.add_argument("--json")
    parser.add_argument("--add", action="store_true")
    parser.add_argument("--show")
    parser.add_argument("--plot")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (2 if options.quick else 10)
    options.idle, options.settle = (5, 5) if options.quick else (60, 30)
    options.mtu = 1420
    options.all_rows = names
    wanted = options.rows
    options.rows = [name for name in names if wanted is None or any(
        name == want or name.startswith(f"{want}-") for want in wanted)]
    for want in wanted or []:
        if not any(name == want or name.startswith(f"{want}-") for name in names):
            parser.error(f"unknown row {want}")
    for given, what in ((options.rows, "--rows"), (options.only, "--only")):
        if given is not None and not given:
            parser.error(f"{what} is empty")
    for file in (options.json, options.plot):
        # Checked now rather than after the measurements.
        if file and not pathlib.Path(file).absolute().parent.is_dir():
            parser.error(f"the directory of {file} does not exist")
    if options.add and not options.json:
        parser.error("--add needs --json")
    return options


def listed(text):
    return {part for part in text.split(",") if part}


def measured(options):
    host.check()
    options.congestion_control = host.congestion_control(options.congestion_control)
    found, remarks = implementation.find(options.peer, options.kernel, options.only)
    run = runner.Runner(options, found, [row for row in rows.ROWS if row.name in options.rows])
    older = results.Results(run.results.host)
    if options.add and os.path.exists(options.json):
        older = results.read(options.json)
        run.results.check_match(older)
    with_idle = idle.NAME_OF_ROW in options.rows
    for remark in remarks:
        say(remark)
    say(f"{', '.join(one.name for one in found)}; "
        f"about {run.seconds(with_idle) / 60:.0f} min")

    def save():
        if options.json:
            run.results.joined(older, options.all_rows).write(options.json)

    run.run(after_round=save)
    if with_idle:
        run.run_idle()
        save()
    return run.results.joined(older, options.all_rows)


def say(line):
    print(f"benchmark: {line}", file=sys.stderr, flush=True)


def main(arguments):
    options = parsed(arguments)
    # The first signal starts the cleanup, and a second one does not interrupt it.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, end)
    try:
        if options.show:
            outcome = results.read(options.show)
        else:
            outcome = measured(options)
        print(table.text(outcome), end="")
        if options.plot:
            pathlib.Path(options.plot).write_text(plot.svg(outcome))
    except failure.Failure as error:
        say(error)
        return 1
    return 1 if outcome.failures else 0


def end(number, _):
    for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    say(f"stopped by {signal.Signals(number).name}")
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
