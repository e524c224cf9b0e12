"""Sizes of features as linear expressions of named sizes (``h``, ``4h``, ``x + h``), and their unification.

A circuit never states a shape. ``W @ h`` implies that W has as many columns as h has entries; ``split(a, 4)``
implies that a is four times as long as each piece. Each such statement is a linear equation. Solving the equations
one by one expresses every size in terms of the few that the user chooses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Size:
    """A linear expression ``sum of coefficient * name + constant`` with rational coefficients."""

    terms: tuple[tuple[str, Fraction], ...]
    constant: Fraction = Fraction(0)

    @staticmethod
    def of(value: Size | str | int) -> Size:
        """The size with this name, or with this constant value; a Size is returned unchanged."""
        if isinstance(value, Size):
            return value
        if isinstance(value, str):
            return Size(((value, Fraction(1)),))
        return Size((), Fraction(value))

    @staticmethod
    def _from(terms: Mapping[str, Fraction], constant: Fraction) -> Size:
        return Size(tuple(sorted((n, c) for n, c in terms.items() if c)), constant)

    @property
    def names(self) -> tuple[str, ...]:
        """The size names in the expression."""
        return tuple(name for name, _ in self.terms)

    def __add__(self, other: Size) -> Size:
        terms = dict(self.terms)
        for name, c in other.terms:
            terms[name] = terms.get(name, Fraction(0)) + c
        return Size._from(terms, self.constant + other.constant)

    def __mul__(self, factor: int | Fraction) -> Size:
        return Size._from({n: c * factor for n, c in self.terms}, self.constant * factor)

    def __sub__(self, other: Size) -> Size:
        return self + other * -1

    def replace(self, values: Mapping[str, Size]) -> Size:
        """Substitute expressions for names."""
        result = Size((), self.constant)
        for name, c in self.terms:
            result = result + values.get(name, Size.of(name)) * c
        return result

    def value(self, sizes: Mapping[str, int]) -> int:
        """The number of entries, given a number for every name."""
        if len(self.terms) == 1 and not self.constant and self.terms[0][1] == 1:
            return sizes[self.terms[0][0]]
        total = self.constant + sum((c * sizes[n] for n, c in self.terms), Fraction(0))
        if total.denominator != 1:
            raise ValueError(f"{self} is not an integer for {dict(sizes)}")
        return int(total)

    def __str__(self) -> str:
        def term(name: str, c: Fraction) -> str:
            factor = "" if c.numerator == 1 else str(c.numerator)
            return f"{factor}{name}" + (f"/{c.denominator}" if c.denominator > 1 else "")

        parts = [term(n, c) for n, c in self.terms]
        if self.constant or not parts:
            parts.append(str(self.constant))
        return " + ".join(parts)


@dataclass(frozen=True, slots=True)
class Area:
    """The number of entries of a matrix: a product of two sizes."""

    rows: Size
    columns: Size

    def value(self, sizes: Mapping[str, int]) -> int:
        """The number of entries, given a number for every name."""
        return self.rows.value(sizes) * self.columns.value(sizes)

    def __str__(self) -> str:
        return f"{self.rows} × {self.columns}"


def total(sizes: Iterable[Size]) -> Size:
    """The sum of sizes: the size of a concatenation."""
    terms: dict[str, Fraction] = {}
    constant = Fraction(0)
    for size in sizes:
        constant += size.constant
        for name, c in size.terms:
            terms[name] = terms.get(name, Fraction(0)) + c
    return Size._from(terms, constant)


class Conflict(Exception):
    """Two sizes cannot be equal. Holds both, with all known values substituted."""

    def __init__(self, left: Size, right: Size) -> None:
        self.left, self.right = left, right
        super().__init__(f"{left} and {right} cannot be equal")


class Solver:
    """Gaussian elimination, one equation at a time.

    When an equation could eliminate any of several names, the one with the highest ``rank`` is eliminated, so that
    the names a user knows remain. A size is a positive integer, so an equation that forces a name to be zero or
    negative is a conflict.
    """

    def __init__(self, rank: Mapping[str, int] | None = None) -> None:
        self.rank = dict(rank or {})
        self.known: dict[str, Size] = {}

    def resolve(self, size: Size) -> Size:
        """The size in terms of the names that have not been eliminated."""
        return size.replace(self.known) if self.known else size

    def equal(self, left: Size, right: Size) -> None:
        """State that two sizes are equal; raise Conflict if they cannot be."""
        if left == right:
            return
        a, b = self.resolve(left), self.resolve(right)
        difference = a - b
        if not difference.terms:
            if difference.constant:
                raise Conflict(a, b)
            return
        name = max(difference.names, key=lambda n: (self.rank.get(n, len(self.rank)), n))
        coefficient = dict(difference.terms)[name]
        rest = difference - Size(((name, coefficient),))
        solution = rest * (-1 / coefficient)
        if not _can_be_a_size(solution):
            raise Conflict(a, b)
        self.known = {n: s.replace({name: solution}) for n, s in self.known.items()} | {name: solution}


def _can_be_a_size(size: Size) -> bool:
    if not size.terms:
        return size.constant > 0 and size.constant.denominator == 1
    return size.constant > 0 or any(c > 0 for _, c in size.terms)
