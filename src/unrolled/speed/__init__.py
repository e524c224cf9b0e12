"""Benchmarks: the same recurrences in this library and in others, timed in turns, beside the limits of the machine.

This file imports nothing, so that a contestant in an environment without torch can import ``loops`` and ``process``.
"""
