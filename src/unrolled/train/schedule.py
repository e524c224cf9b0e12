"""Schedules of the learning rate."""

from __future__ import annotations

import math

SCHEDULES = ("cosine", "constant", "plateau")


def shape(schedule: str, warmup: float, done: float) -> float:
    """The learning rate as a fraction of its maximum, when the fraction ``done`` of the training is done.

    It rises linearly from zero during the fraction ``warmup``. Then 'cosine' decays to zero along half a cosine
    (Loshchilov and Hutter 2017, eq. 5, one cycle); 'constant' and 'plateau' stay constant (the latter until ``Plateau``
    halves it).

    >>> shape("cosine", warmup=0.1, done=0.05), shape("cosine", warmup=0.0, done=0.5)
    (0.496..., 0.5)
    """
    rising = min(done / warmup, 1.0) if warmup else 1.0
    return rising * ((1 + math.cos(math.pi * done)) / 2 if schedule == "cosine" else 1.0)


class Plateau:
    """Halves the learning rate after ``patience`` validations in a row without a new lowest loss.

    >>> plateau = Plateau(patience=2)
    >>> [plateau.see(better) for better in (True, False, False, False, False)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, patience: int) -> None:
        self.patience, self.factor, self.waiting = patience, 1.0, 0

    def see(self, better: bool) -> float:
        """Record a validation. Returns the factor of the learning rate from now on."""
        self.waiting = 0 if better else self.waiting + 1
        if self.waiting == self.patience:
            self.waiting, self.factor = 0, self.factor / 2
        return self.factor
