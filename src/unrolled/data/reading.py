"""How data are read in training: the section [reading] of the options."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError


@dataclass(frozen=True)
class Reading:
    """How data are read in training.

    batch: number of sequences, or of pieces of a text, that are read side by side.
    window: number of steps that gradients reach back. A text is read window by window, with the state carried on. Other
        sequences are read to their end before each update; without a window, gradients reach back to their beginning.
    stride: steps from one window to the next; ``window`` by default. Each update of a text has ``stride`` new steps.
        In other sequences, gradients start at every ``stride``-th step: see ``nn.memory.Truncated``.
    seed: of the initial parameters and of the order of the data.
    validation, test: files (or folders) with the data for validation and for testing. By default they are parts of the
        data.

    Raises:
        UsageError: a value out of range, or a stride without a window.
    """

    batch: int = 16
    window: int | None = None
    stride: int | None = None
    seed: int = 0
    validation: str = ""
    test: str = ""

    def __post_init__(self) -> None:
        for name in ("batch", "window"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UsageError(f"{name} must be a whole number from 1, got {value}")
        if self.stride is not None and self.window is None:
            raise UsageError("stride needs a window: give --window as well")
        if self.stride is not None and not 1 <= self.stride <= (self.window or 0):
            raise UsageError(f"stride must be from 1 to window ({self.window}), got {self.stride}")
        check_seed(self.seed)


def check_seed(seed: int) -> None:
    """Refuse a seed that torch's generators do not take.

    Raises:
        UsageError: it is out of range.
    """
    if not 0 <= seed < 2**63:
        raise UsageError(f"the seed must be a whole number from 0 to 2**63 - 1, got {seed}")
