"""Python in several processes that torch.distributed joins."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch


def in_processes(command: list[str], size: int, out: Path) -> list[object]:
    """What a command saves in each of ``size`` processes, in a file named OUT.RANK.

    Args:
        command: the arguments of Python; the name OUT is added to them.
        size: the number of processes.
        out: the name.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ours = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    arguments = [sys.executable, *command, str(out)]
    started = [subprocess.Popen(arguments, env={**os.environ, **ours, "RANK": str(rank)}) for rank in range(size)]
    try:
        assert [process.wait(120) for process in started] == [0] * size
    finally:
        for process in started:
            process.kill()
    return [torch.load(f"{out}.{rank}") for rank in range(size)]
