"""Piano rolls in files of MATLAB: matrices of zeros and ones."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from ..errors import DataError
from .example import Example


def read_rolls(path: Path, content: bytes, names: tuple[str, ...]) -> list[list[Example]]:
    """The pieces of some cell arrays of a MATLAB file.

    Raises:
        DataError: it is another file, an array is missing, or a piece is not a matrix of zeros and ones.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError("reading MATLAB files needs scipy: pip install 'unrolled[music]'") from None
    try:
        arrays = loadmat(io.BytesIO(content))
    except Exception as problem:  # scipy raises many kinds of errors for damaged files
        raise DataError(f"'{path}' is not a MATLAB file of version 5, or is damaged ({problem})") from None
    found = []
    for name in names:
        if name not in arrays:
            known = [n for n in arrays if not n.startswith("__")]
            raise DataError(
                f"'{path}' has no '{name}'; it has {', '.join(known) or 'nothing'}. Name the parts with data.train, "
                "data.validation and data.test"
            )
        pieces = [arrays[name]] if hasattr(arrays[name], "toarray") else arrays[name].ravel()
        found.append([_example(path, f"{name}[{i}]", roll) for i, roll in enumerate(pieces)])
    widths = {len(e.x[0]) for part in found for e in part if len(e.x)}
    if len(widths) > 1:
        raise DataError(f"'{path}': all pieces must have the same keys, got frames of {sorted(widths)}")
    return found


def _example(path: Path, name: str, roll: Any) -> Example:
    if hasattr(roll, "toarray"):  # a sparse matrix
        roll = roll.toarray()
    shape: tuple[int, ...] = getattr(roll, "shape", ())
    kind = getattr(getattr(roll, "dtype", None), "kind", "")
    if len(shape) != 2 or kind not in "buif" or shape[0] < 2:
        raise DataError(f"'{path}': {name} must be a matrix (2 steps or more, keys), got {shape}")
    frames = torch.from_numpy(roll.astype("float32"))
    if not ((frames == 0) | (frames == 1)).all():
        raise DataError(f"'{path}': {name} must hold zeros and ones, got values from {frames.min()} to {frames.max()}")
    return Example(frames[:-1], frames[1:], name)
