"""The learning rate over the course of a training."""

from __future__ import annotations

import math

SCHEDULES = ("cosine", "constant", "plateau")


def shape(schedule: str, warmup: float, done: float) -> float:
    """The learning rate as a share of its highest value, when a part of the budget is spent.

    It rises from zero in a straight line during the first ``warmup`` of the budget. Then 'cosine' falls to zero along
    half a cosine (Loshchilov and Hutter 2017, eq. 5, one cycle); 'constant' and 'plateau' stay (the latter until a
    ``Plateau`` halves it).

    >>> shape("cosine", warmup=0.1, done=0.05), shape("cosine", warmup=0.0, done=0.5)
    (0.496..., 0.5)
    """
    rising = min(done / warmup, 1.0) if warmup else 1.0
    return rising * ((1 + math.cos(math.pi * done)) / 2 if schedule == "cosine" else 1.0)


class Plateau:
    """Halves the learning rate after so many validations in a row that were no better than the best before them.

    >>> plateau = Plateau(patience=2)
    >>> [plateau.see(better) for better in (True, False, False, False, False)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, patience: int) -> None:
        self.patience, self.factor, self.waiting = patience, 1.0, 0

    def see(self, better: bool) -> float:
        """Take in one validation; the factor from now on."""
        self.waiting = 0 if better else self.waiting + 1
        if self.waiting == self.patience:
            self.waiting, self.factor = 0, self.factor / 2
        return self.factor
