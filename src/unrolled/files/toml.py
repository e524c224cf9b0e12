"""Options as TOML: sections of single values and lists."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from ..errors import DataError, UsageError
from .read import read_bytes

Sections = dict[str, dict[str, Any]]


def read_toml(path: Path) -> Sections:
    """The sections of a TOML file.

    Raises:
        DataError: there is no such file, or it is not TOML (with the line).
        UsageError: a value outside of the sections.
    """
    try:
        values = tomllib.loads(read_bytes(path, "a TOML file of options").decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise DataError(f"'{path}' is not TOML: {problem}") from None
    for name, section in values.items():
        if not isinstance(section, dict):
            raise UsageError(f"'{path}': '{name}' must be in a section such as [training]")
    return values


def write_toml(sections: Sections) -> str:
    """Sections as TOML, without values that are None."""
    lines = []
    for name, section in sections.items():
        lines += [
            f"[{name}]",
            *(f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in section.items() if v is not None),
        ]
        lines.append("")
    return "\n".join(lines)
