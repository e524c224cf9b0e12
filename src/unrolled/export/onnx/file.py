"""From a network to its ONNX files: two models, checked in ONNX Runtime, then written."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from onnx import ModelProto

from ...files.write import write_bytes
from ...graph.equations import equations
from ..about import About
from ..network import Network
from ..report import Report
from ..scaled import scaled
from .check import check
from .models import one_step, sequence


def write(network: Network, about: About, path: Path) -> Report:
    """Write a network as ONNX: ``path`` reads whole sequences; a second file, with _step in its name, reads one step.

    A network that reads in both directions has no single steps, and one file.

    Args:
        network: what is exported.
        about: what its numbers mean; it becomes metadata of the model.
        path: of the file for whole sequences.

    Raises:
        EngineError: the files would not compute what the network computes.
    """
    network = scaled(network, about)
    doc = "\n\n".join(equations(step.recurrence, "text") for layer in network.layers for step in layer)
    models = {path: sequence(network, doc)}
    if network.head is None:
        models[step_file(path)] = one_step(network, doc)
    for model in models.values():
        _describe(model, about)
    scale = (torch.tensor(about.mean), torch.tensor(about.deviation)) if about.mean else None
    found = check(network, models[path], models.get(step_file(path)), scale)
    for file, model in models.items():
        write_bytes(file, model.SerializeToString(deterministic=True))
    lines = [("sequence", f"{path}: inputs (batch, time, size), states in and out")]
    if network.head is None:
        lines.append(("step", f"{step_file(path)}: inputs (batch, size), states in and out"))
    worst = max(found)
    lines.append(("checked", f"in ONNX Runtime; largest error {worst:.1e} of the largest output"))
    return Report(
        tuple(models), tuple(lines), {"error": worst, **{f"{n}_error": x for n, x in found._asdict().items()}}
    )


def step_file(path: Path) -> Path:
    """The file of the model that reads one step."""
    return path.with_name(f"{path.stem}_step{path.suffix}")


def _describe(model: ModelProto, about: About) -> None:
    """Add what the numbers mean, as texts or JSON by name."""
    facts = {
        "task": about.task,
        "reads": about.reads,
        "writes": about.writes,
        "symbols": about.symbols,
        "classes": about.classes,
        "columns": about.columns,
        "lacks": about.lacks,
    }
    for name, value in facts.items():
        if value:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            model.metadata_props.add(key=name, value=text)
