"""JSON as files hold it: no NaN and no infinity, which JSON does not have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn


def as_json(values: Mapping[str, Any]) -> bytes:
    """JSON as our files have it; NaN and infinity are refused."""
    return (json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "surrogatepass")


def from_json(content: bytes | str) -> Any:
    """The values of a JSON text, as strict as ``as_json``.

    Raises:
        ValueError: no JSON, or with NaN or infinity in it; RecursionError: nested too deeply.
    """
    return json.loads(content, parse_constant=_no_number)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not allowed")
