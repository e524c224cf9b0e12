"""The command line: one file per command, which loads what it needs when it runs."""

from __future__ import annotations

from collections.abc import Sequence

from .interrupt import at_once_while_importing

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and give its exit code: 0, 2 for wrong use or bad data, 130 when interrupted."""
    with at_once_while_importing():
        from .app import run

        return run(arguments)
