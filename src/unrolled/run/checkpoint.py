"""A checkpoint: a folder with everything that a model is and that its training needs to resume.

model.safetensors       the parameters
optimizer.safetensors   moments of the optimizer, carried states, random states; with averaging the raw parameters
config.json             the model, and how it is trained
progress.json           the training so far: update, position in the data, best validation
manifest.json           size and SHA-256 of each of these files, SHA-256 of each tensor, and of the manifest itself

A checkpoint is written whole or not at all (``files.write.write_folder``). Checksums are verified before anything is
used. No pickle is ever read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from .. import __version__
from ..errors import DataError
from ..files.read import read_bytes
from ..files.strict_json import as_json, from_json
from ..files.write import write_folder
from ..train.snapshot import Snapshot

FORMAT = 1
MODEL, OPTIMIZER, CONFIG = "model.safetensors", "optimizer.safetensors", "config.json"
PROGRESS, MANIFEST = "progress.json", "manifest.json"
FILES = (MODEL, OPTIMIZER, CONFIG, PROGRESS)
LARGEST_TEXT = 100_000_000  # bytes of a manifest: more is not ours


CHECKPOINTS = "checkpoints"  # the folder of them in a run folder


@dataclass(frozen=True)
class Checkpoint(Snapshot):
    """A snapshot of a training, and the config.json of its run."""

    config: dict[str, Any]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a new checkpoint folder, whole or not at all.

    Raises:
        DataError: it cannot be written; the message says how much space it needs.
    """
    tensors = {MODEL: checkpoint.model, OPTIMIZER: checkpoint.optimizer}
    files = {name: safetensors.torch.save(_apart(values)) for name, values in tensors.items()}
    files |= {CONFIG: as_json(checkpoint.config), PROGRESS: as_json(checkpoint.progress)}
    manifest: dict[str, Any] = {"format": FORMAT, "unrolled": __version__}
    manifest["files"] = {n: {"bytes": len(content), "sha256": _sha256(content)} for n, content in files.items()}
    manifest["tensors"] = {n: {k: _tensor_sha256(v) for k, v in sorted(ts.items())} for n, ts in tensors.items()}
    manifest["sha256"] = _sha256(as_json(manifest))
    write_folder(folder, {**files, MANIFEST: as_json(manifest)})


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint, and verify every byte.

    Raises:
        DataError: a file is missing or damaged (with the name of the tensor, if it is one), the manifest does not
            match, or the checkpoint was written by a newer version.
    """
    manifest = _read_manifest(folder)
    content = {name: _checked(folder, name, manifest) for name in FILES}
    try:
        model, optimizer = (safetensors.torch.load(content[name]) for name in (MODEL, OPTIMIZER))
        config, progress = (from_json(content[name]) for name in (CONFIG, PROGRESS))
    except (SafetensorError, ValueError, KeyError, RecursionError) as problem:
        _damaged(folder, f"a file cannot be parsed ({problem})")
    if not isinstance(config, dict) or not isinstance(progress, dict):
        _damaged(folder, f"{CONFIG} and {PROGRESS} must hold objects")
    return Checkpoint(model, optimizer, progress, config)


def checkpoints(run: Path) -> list[Path]:
    """The checkpoint folders of a run, oldest first."""
    folder = run / CHECKPOINTS
    return sorted(path for path in folder.iterdir() if path.name.isdigit()) if folder.is_dir() else []


def best_of(progress: Mapping[str, Any]) -> int | None:
    """The update with the best validation, from the progress of a checkpoint; None before the first validation."""
    best = progress.get("best")
    return best if isinstance(best, int) else None


def no_checkpoint(run: Path) -> DataError:
    """The error for a run without a checkpoint."""
    return DataError(f"'{run / CHECKPOINTS}' has no checkpoint. Restore the folder from a copy, or train again")


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder is a checkpoint, by its files."""
    return (folder / MANIFEST).is_file()


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(f"'{folder}' is not a checkpoint: it has no {MANIFEST}")
    _check_size(path, None)
    content = read_bytes(path, "the manifest of a checkpoint")
    try:
        manifest = from_json(content)
    except (ValueError, RecursionError) as problem:
        _damaged(folder, f"{MANIFEST} is not JSON ({problem})")
    if isinstance(manifest, dict) and isinstance(manifest.get("format"), int) and manifest["format"] > FORMAT:
        raise DataError(
            f"'{folder}' was written by a newer version of unrolled, {manifest.get('unrolled')!a:.40}: its format is "
            f"{manifest['format']!s:.9}, this version {__version__} reads {FORMAT}. Install the newer one to read it"
        )
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        _damaged(folder, f"{MANIFEST} does not describe a checkpoint")
    try:
        same = as_json(manifest) == content
        promised = manifest.pop("sha256", None)
        whole = same and promised == _sha256(as_json(manifest))
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        _damaged(folder, f"{MANIFEST} does not have its own checksum")
    return manifest


def _checked(folder: Path, name: str, manifest: Mapping[str, Any]) -> bytes:
    """The content of a file, if it has the checksum of the manifest."""
    path = folder / name
    try:
        promised, count = manifest["files"][name]["sha256"], manifest["files"][name]["bytes"]
    except (KeyError, TypeError):
        _damaged(folder, f"{MANIFEST} does not name {name}")
    if not path.is_file():
        _damaged(folder, f"{name} is missing")
    _check_size(path, count)
    content = read_bytes(path, "a file of a checkpoint")
    if _sha256(content) != promised:
        _damaged(folder, f"{_where(name, content, manifest)} does not have the checksum of {MANIFEST}")
    return content


def _check_size(path: Path, promised: object) -> None:
    """Refuse a file of the wrong size before it is read."""
    found = os.stat(path).st_size
    if promised is not None and found != promised:
        _damaged(path.parent, f"{path.name} has {found} bytes; {MANIFEST} says {promised!r:.40}")
    if promised is None and found > LARGEST_TEXT:
        _damaged(path.parent, f"{path.name} has {found} bytes, which is too large")


def _where(name: str, content: bytes, manifest: Mapping[str, Any]) -> str:
    """The damaged tensor of a file, if it can be found; else the file."""
    try:
        tensors, promised = safetensors.torch.load(content), manifest["tensors"][name]
        wrong = [n for n, value in sorted(tensors.items()) if promised.get(n) != _tensor_sha256(value)]
    except Exception:  # the parser may raise anything for damaged bytes; then the file is named
        return name
    return f"{name}: the tensor '{wrong[0]}'" if wrong else name


def _damaged(folder: Path, what: str) -> NoReturn:
    raise DataError(f"'{folder}' is damaged: {what}. Restore the folder from a copy, or use another checkpoint")


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU that share no memory, so that tied weights are stored under each name."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}


def _tensor_sha256(value: Tensor) -> str:
    flat = value.detach().cpu().contiguous().reshape(-1)
    kind = f"{value.dtype} {tuple(value.shape)}".encode()
    return _sha256(kind + flat.view(torch.uint8).numpy().tobytes())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
