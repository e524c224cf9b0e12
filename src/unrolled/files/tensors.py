"""Tensors and values of JSON in one file (safetensors)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import safetensors.torch
from torch import Tensor

from .strict_json import from_json


def pack(tensors: Mapping[str, Tensor], name: str, values: Mapping[str, Any]) -> bytes:
    """The content of a file with tensors by name, and values of JSON under another name."""
    plain = {n: value.detach().cpu().contiguous() for n, value in tensors.items()}
    return safetensors.torch.save(plain, {name: json.dumps(values, allow_nan=False)})


def unpack(content: bytes, name: str) -> tuple[dict[str, Tensor], Any]:
    """The tensors and the values that ``pack`` put into a file.

    Raises:
        ValueError, KeyError, TypeError, RecursionError, SafetensorError: the file holds something else.
    """
    values = from_json(metadata(content)[name])
    return safetensors.torch.load(content), values


def metadata(content: bytes) -> dict[str, str]:
    """The texts beside the tensors of a file (safetensors).

    Raises:
        ValueError: the file is something else.
    """
    size = int.from_bytes(content[:8], "little")
    found = from_json(content[8 : 8 + size]).get("__metadata__")
    if not isinstance(found, dict):
        raise ValueError("it says nothing beside its tensors")
    return found
