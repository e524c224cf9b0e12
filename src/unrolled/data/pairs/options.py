"""The options of pairs: the section [data]."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import UsageError, check_choice
from .symbols import UNITS


@dataclass(frozen=True)
class PairsOptions:
    """[data] of pairs.

    unit: what sources and targets are made of: a 'character' each, or a 'word' each, separated by spaces.
    source_unit, target_unit: the unit of one side; by default ``unit``. Words and their phonemes are
        target_unit='word'.
    vocabulary: the largest number of different symbols of a side. Others are unknown.
    own: the share of target symbols in training that the decoder reads as it wrote them (scheduled sampling).
    validation, test: the shares of the sources for validation and for testing. All pairs of a source are in one part.

    Raises:
        UsageError: an unknown unit, or a number out of range.
    """

    unit: str = "character"
    source_unit: str = ""
    target_unit: str = ""
    vocabulary: int = 8000
    own: float = 0.0
    validation: float = 0.05
    test: float = 0.05

    def __post_init__(self) -> None:
        check_choice("data.unit", self.unit, UNITS)
        for name in ("source_unit", "target_unit"):
            if getattr(self, name):
                check_choice(f"data.{name}", getattr(self, name), UNITS)
        if self.vocabulary < 1:
            raise UsageError(f"data.vocabulary must be a whole number from 1, got {self.vocabulary}")
        if not 0 <= self.own < 1:
            raise UsageError(f"data.own must be a share from 0 up to, but not including, 1, got {self.own:g}")
        for name in ("validation", "test"):
            if not 0 < getattr(self, name) < 0.5:
                raise UsageError(f"data.{name} must be a share above 0 and less than 0.5, got {getattr(self, name):g}")

    @property
    def units(self) -> tuple[str, str]:
        """The units of sources and of targets."""
        return self.source_unit or self.unit, self.target_unit or self.unit
