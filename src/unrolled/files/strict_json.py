"""JSON as files hold it: no NaN and no infinity, which JSON does not have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn


def as_json(values: Mapping[str, Any]) -> bytes:
    """Values as JSON. Raises ValueError for NaN and infinity."""
    return (json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "surrogatepass")


def from_json(content: bytes | str) -> Any:
    """The values of a JSON text.

    Raises:
        ValueError: it is not JSON, or has NaN or infinity.
        RecursionError: it is nested too deeply.
    """
    return json.loads(content, parse_constant=_no_number)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not allowed")
