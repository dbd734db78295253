"""The Python code of this repository.

    project         paths: the repository's root and the daemons
    command_line    options of the commands
    processes       memory, processor time and descriptors of a process
    machines        network namespaces as machines, and links between them
    daemon          a WireGuard daemon, and `wg`
    topology        two machines with a configured tunnel
    traffic         pings, TCP streams and datagrams with checked contents
    datagrams       numbered datagrams, and background traffic
    capture         packets that pass an interface
    faults          system calls that fail on demand
    lesser_kernel   a kernel that lacks a feature
    kernel_interface  the kernel's WireGuard
    paper/          an independent WireGuard peer, written from the paper
    benchmark/      parts of scripts/benchmark
    commands/       the Python commands of scripts/ and scripts/lib/
"""
