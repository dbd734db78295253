"""Resources of a process: memory, processor time, descriptors and threads."""

import os
import time

from swireguard_dev import machines

CPUCLOCK_SCHED = 2


def memory(pid, *keys, file="status"):
    """Sum of lines such as `VmRSS:` in /proc/PID/FILE, in bytes."""
    with open(f"/proc/{pid}/{file}") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith(keys)) * 1024


def resident(pid):
    """Resident memory in bytes."""
    return memory(pid, "VmRSS:")


def cpu_seconds(pid):
    """Processor time of all threads so far, including threads that ended.

    Uses the clock of clock_getcpuclockid(3): /proc/PID/stat counts only hundredths of a second.
    """
    return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)


def thread_cpu_seconds(pid):
    """Processor time by thread id, in seconds."""
    times = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as stat:
            times[int(thread)] = int(stat.read().split()[0]) / 1e9
    return times


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def belongings(pid, rest=0.3):
    """The number of descriptors and of threads, once both are unchanged for `rest` seconds.

    A daemon opens new sockets before it closes those they replace, so one look can see both.
    """
    count = open_files(pid), len(os.listdir(f"/proc/{pid}/task"))
    since = time.monotonic()
    while time.monotonic() < since + rest * machines.patience:
        time.sleep(0.02)
        last, count = count, (open_files(pid), len(os.listdir(f"/proc/{pid}/task")))
        if count != last:
            since = time.monotonic()
    return count
