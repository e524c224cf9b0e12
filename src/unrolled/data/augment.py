"""Variations of a recording's log-mel features that keep what is said: other voices, rooms and speeds."""

from __future__ import annotations

import torch
from torch import Tensor

WARP = 0.1  # the largest change of frequencies: the length of the vocal tract (Jaitly and Hinton 2013)
SPEED = 0.15  # the largest change of the speed
TILT = 1.0  # the largest change of the level, in nepers of power, of the lowest and of the highest band
BANDS, FRAMES = 8, 0.15  # the bands, and the share of the frames, that a mask covers at most


def varied(features: Tensor, generator: torch.Generator) -> Tensor:
    """The features (frames, bands) of a recording as it might have sounded with another voice, at another speed, in
    another room, and with a part missing: some bands and some frames are replaced by the mean over time (Park et al.
    2019, SpecAugment).

    >>> varied(torch.randn(100, 40), torch.Generator().manual_seed(0)).shape
    torch.Size([93, 40])

    Args:
        features: logarithms of the power in each band.
        generator: what is random follows from it.
    """

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    found = _stretched(features, 1 + between(-SPEED, SPEED))
    found = _warped(found, 1 + between(-WARP, WARP))
    frames, bands = found.shape
    found = found + between(-TILT, TILT) * torch.linspace(-1, 1, bands)
    middle = found.mean(0)
    wide, long = int(between(0, BANDS + 1)), int(between(0, FRAMES) * frames)
    band, frame = int(between(0, bands - wide + 1)), int(between(0, frames - long + 1))
    found[:, band : band + wide] = middle[band : band + wide]
    found[frame : frame + long] = middle
    return found


def _stretched(features: Tensor, factor: float) -> Tensor:
    """The features with ``factor`` times as many frames, by linear interpolation."""
    frames = max(1, round(len(features) * factor))
    return _interpolated(features, torch.linspace(0, len(features) - 1, frames))


def _warped(features: Tensor, factor: float) -> Tensor:
    """The features with every frequency multiplied by a factor, on the axis of bands; the ends repeat."""
    bands = features.shape[1]
    at = (torch.arange(bands) / factor).clamp(max=bands - 1)
    return _interpolated(features.T, at).T.contiguous()


def _interpolated(rows: Tensor, at: Tensor) -> Tensor:
    """Rows between the rows."""
    below = at.floor().long().clamp(max=max(len(rows) - 2, 0))
    share = (at - below)[:, None]
    return torch.lerp(rows[below], rows[(below + 1).clamp(max=len(rows) - 1)], share)
