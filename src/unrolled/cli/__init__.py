"""The command line: one file per command, which loads what it needs when it runs."""

from .app import main

__all__ = ["main"]
