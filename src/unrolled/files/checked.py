"""Values from a file that may hold anything, each checked when it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn


@dataclass(frozen=True)
class Checked:
    """Values by name, nested, and what to raise when one is not as it should be.

    >>> values.get("model.hidden", int)
    128
    """

    values: Any
    refuse: Callable[[str], NoReturn]

    def get(self, name: str, kind: type) -> Any:
        """The value under a dotted name, which must be of a type."""
        value = self.values
        for part in name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                self.refuse(f"'{name}' is missing")
            value = value[part]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.refuse(f"'{name}' must be of type {kind.__name__}, got {value!r:.40}")
        return value

    def list_of(self, name: str, kind: type, count: int | None = None) -> list[Any]:
        """A list, each entry of a type; of ``count`` entries, if that is given."""
        values: list[Any] = self.get(name, list)
        if not all(isinstance(v, kind) for v in values) or count not in (None, len(values)):
            many = "" if count is None else f"{count} "
            self.refuse(f"'{name}' must be a list of {many}values of type {kind.__name__}")
        return values
