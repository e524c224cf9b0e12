"""Inputs that are drawn at random: their distributions. A network draws them in training, and replaces them with their
means otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from .node import Node

KINDS = ("zoneout", "dropout", "noise")


@dataclass(frozen=True)
class Distribution:
    """The distribution of the entries of an input, which are independent.

    ``zoneout``: 1 with the probability ``share``, otherwise 0. ``dropout``: 0 with the probability ``share``, otherwise
    1 / (1 - share). ``noise``: normal, with the mean 0 and the standard deviation ``share``.
    """

    kind: str
    share: float

    @property
    def mean(self) -> float:
        """The mean of each entry."""
        return {"zoneout": self.share, "dropout": 1.0, "noise": 0.0}[self.kind]

    def __str__(self) -> str:
        return f"{self.kind} {self.share:g}"


def distribution(node: Node) -> Distribution | None:
    """The distribution of an input that is drawn; None for all other nodes."""
    attrs = dict(node.attrs)
    return Distribution(attrs["drawn"], attrs["share"]) if node.op == "input" and "drawn" in attrs else None
