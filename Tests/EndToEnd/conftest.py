"""End-to-end tests: TUNs in network namespaces, configured with stock `wg` and `wg-quick`.

They need root and some programs. If something is missing, they fail; no test is skipped.
"""

import concurrent.futures
import os
import pathlib
import shutil
import signal
import time

import pytest

from swireguard_dev import daemon, kernel_interface, machines, project

# Program: Debian package.
TOOLS = {
    "cc": "gcc", "ip": "iproute2", "iperf3": "iperf3", "nft": "nftables", "nsenter": "util-linux",
    "ping": "iputils-ping", "podman": "podman", "debootstrap": "debootstrap", "runc": "runc",
    "setpriv": "util-linux", "sysctl": "procps", "tshark": "tshark", "unshare": "util-linux",
    "wg": "wireguard-tools", "wg-quick": "wireguard-tools",
}
TIME_LIMIT = 60  # seconds, for tests without the marker `limit`


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also run the long tests")
    parser.addoption("--full", action="store_true",
                     help="scenarios: full-length transfers")
    parser.addoption("--kernel", action="store_true",
                     help="run only the tests with the kernel's WireGuard")
    parser.addoption("--emulated", action="store_true",
                     help="send less and wait longer, for a slow emulated machine")


def pytest_configure(config):
    if config.getoption("--emulated"):
        machines.patience = 5
    config.addinivalue_line("markers", "long: a slow test; needs --long")
    config.addinivalue_line("markers", "kernel: a test with the kernel's WireGuard; needs --kernel")
    config.addinivalue_line("markers", "meanwhile: a test that mostly waits; it runs beside others")
    config.addinivalue_line("markers", "limit(seconds): the time limit of a test")
    config.addinivalue_line("markers", "scenario(name, title): a scenario of scripts/scenarios")


def pytest_collection_modifyitems(config, items):
    def is_wanted(item):
        return (bool(item.get_closest_marker("kernel")) == config.getoption("--kernel")
                and (config.getoption("--long") or not item.get_closest_marker("long")))

    config.hook.pytest_deselected(items=[item for item in items if not is_wanted(item)])
    items[:] = sorted(filter(is_wanted, items), key=Meanwhile.holds)
    config.pluginmanager.register(Meanwhile())


def pytest_sessionstart(session):
    missing = [] if os.geteuid() == 0 else ["root (scripts/test --no-root leaves out these tests)"]
    missing += [f"{tool} (Debian package {package})" for tool, package in TOOLS.items()
                if shutil.which(tool) is None]
    if not os.access(project.OURS, os.X_OK):
        missing.append(f"{project.OURS} (scripts/build, or name one in SWIREGUARD)")
    if session.config.getoption("--kernel") and not kernel_interface.is_here():
        missing.append("a kernel with WireGuard (scripts/kernel-interop boots one)")
    if not pathlib.Path("/dev/net/tun").is_char_device():
        missing.append("/dev/net/tun")
    if missing:
        pytest.exit("the end-to-end tests need:\n  " + "\n  ".join(missing), returncode=1)


def pytest_collection_finish(session):
    """Requires other daemons only if a selected test uses them."""
    used = {name for item in session.items for name in vars(item.module)}
    missing = [f"{path} (scripts/fetch-peer, or name one in {name})"
               for name in ("WIREGUARD_GO", "WIREGUARD_GO_2022")
               if name in used and not os.access(path := getattr(project, name), os.X_OK)]
    if missing:
        pytest.exit("the end-to-end tests need:\n  " + "\n  ".join(missing), returncode=1)


class Meanwhile:
    """Starts all tests with the marker `meanwhile` at once; they run beside the others.

    pytest collects their results last. They may have parameters, but no fixtures.
    """

    def __init__(self):
        self.results = {}

    @staticmethod
    def holds(item):
        return item.get_closest_marker("meanwhile") is not None

    def pytest_runtestloop(self, session):
        # Only here is the selection by -k and --deselect complete.
        items = [item for item in session.items if self.holds(item)]
        if items and not session.config.option.collectonly:
            threads = concurrent.futures.ThreadPoolExecutor(len(items))
            self.results = {item: threads.submit(self.run, item) for item in items}

    @staticmethod
    def run(item):
        begun = time.monotonic()
        try:
            item.obj(**item.callspec.params)
        finally:
            item.user_properties.append(("seconds", f"{time.monotonic() - begun:.1f}"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem):
        if pyfuncitem in self.results:
            self.results[pyfuncitem].result()
            return True


@pytest.fixture
def stream_size(request):
    """Bytes of a large TCP transfer."""
    return 1_000_000 if request.config.getoption("--emulated") else 20_000_000


@pytest.fixture(autouse=True)
def time_limit(request):
    """Fails a test after its time limit, also if it hangs."""
    marker = request.node.get_closest_marker("limit")
    seconds = marker.args[0] if marker else TIME_LIMIT
    seconds *= machines.patience

    def expire(*_):
        raise TimeoutError(f"the test took more than {seconds} s")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture
def full(request):
    """Whether transfers have their full length."""
    return request.config.getoption("--full")


@pytest.fixture
def seen(record_property):
    """Records an observation, which scripts/scenarios prints with the result."""
    return lambda what: record_property("seen", what)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup():
    # Keep the daemons of module fixtures.
    daemon.Daemon.recent[:] = [each for each in daemon.Daemon.recent
                               if each.process is not None and each.process.poll() is None]
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for each in daemon.Daemon.recent:
            log = "\n".join(each.log_text().splitlines()[-60:])
            report.sections.append((f"log of {each.machine.name}'s {each.name}", log))
        if item.get_closest_marker("kernel"):
            report.sections.append(("log of the kernel", kernel_interface.kernel_log(60)))
    return report
