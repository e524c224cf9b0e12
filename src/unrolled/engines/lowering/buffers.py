"""Memory for the values of a pass, by how the row of a step of a sequence is found in it."""

from __future__ import annotations

from dataclasses import dataclass

from ...graph.size import Area, Size

SERIES = "series"  # a row for each step of each sequence, in a tensor that is read
KEPT = "kept"  # a row for each step of each sequence, in memory that outlives the pass
PREVIOUS = "previous"  # a series read one step earlier: at a first step, the starting state
SEQUENCE = "sequence"  # a row for each sequence
FIXED = "fixed"  # the same for all rows
MATRIX = "matrix"  # the same for all rows, in the layout that products read
TURNED = "turned"  # a matrix that is the transpose of a parameter
TABLE_ROW = "table row"  # the row of a fixed table that a token names
STRETCH = "stretch"  # scratch, a row for each step of the stretch that is computed at once
LANE = "lane"  # scratch, a row for each sequence, overwritten at each step
PARTIALS = "partials"  # scratch, a number for each thread of a lane: its part of a sum or of a maximum
REGULAR = (STRETCH, LANE)  # rows at a regular distance, as products need them


@dataclass(frozen=True)
class Buffer:
    """Memory for one value, ``size`` numbers a row. row_of: the table and the token of a TABLE_ROW. token: whether the
    number is the index of a token, an integer."""

    name: str
    kind: str
    size: Size | Area
    row_of: tuple[Buffer, Buffer] | None = None
    token: bool = False
