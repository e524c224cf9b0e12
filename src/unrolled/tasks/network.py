"""Stored networks, under the name that they had in version 0.1: see ``unrolled.nn.stored``."""

from ..nn.stored import load_network, save_network

__all__ = ["load_network", "save_network"]
