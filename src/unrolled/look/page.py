"""The page of the explorer: one self-contained HTML file with style, program and numbers."""

from __future__ import annotations

import base64
import json
from html import escape
from importlib.resources import files
from typing import Any

import numpy
import torch
from torch import Tensor

from ..draw.colours import variables
from ..draw.reduce import reduce
from ..errors import SourceLine
from ..graph.equations import equations, is_scalar
from ..graph.node import Node
from ..graph.notation import Text
from ..graph.recurrence import Recurrence
from ..transform.differentiate import differentiate
from ..transform.gradient_equations import gradient_equations
from .layer_values import LayerValues, tokens
from .pack import pack, short, size
from .stage import stage
from .subject import Subject, Track

MOST = 470_000  # most numbers in a page: at 2.7 bytes each, 1.25 MB


def document(title: str, content: dict[str, Any], figure: str = "") -> str:
    """The whole page, from a title, the data for its program, and a picture of what a model makes of its data (SVG)."""
    template, style, program = (_part(f"explorer.{kind}") for kind in ("html", "css", "js"))
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    filled = {
        "TITLE": escape(title),
        "STYLE": style.replace("/*LIGHT*/", variables(False)).replace("/*DARK*/", variables(True)),
        "DATA": data.replace("<", "\\u003c"),
        "FIGURE": _figure(figure) if figure else "",
        "PROGRAM": program,
    }
    for name, text in filled.items():
        template = template.replace(f"<!--{name}-->", text)
    return template


def _figure(svg: str) -> str:
    encoded = base64.b64encode(svg.encode()).decode()
    return f'<figure><img alt="Forecasts" src="data:image/svg+xml;base64,{encoded}"></figure>'


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def content(subject: Subject, measured: LayerValues) -> dict[str, Any]:
    """The data for the program of the page."""
    step, times = measured.layer.recurrence, measured.unfolded.times
    numbers, left_out = _numbers(subject, measured)
    notes = list(subject.notes)
    if step.fixed:
        each = "is the same" if len(step.fixed) == 1 else "are the same"
        notes.append(f"{', '.join(step.fixed)} {each} at every step; the gradient is the sum over steps.")
    if left_out:
        notes.append(f"To keep this page small, it shows only the size, not each unit, of {', '.join(left_out)}.")
    top = len(subject.layers) - 1
    layer = next(k for k, one in enumerate(subject.layers) if one is measured.layer)
    of = subject.scored.loss if layer == top else measured.layer.gives
    if top:
        below = "" if layer == top else "; its gradient comes through the layers above"
        notes.append(f"Shows layer {layer + 1} of {len(subject.layers)}{below}.")
    return {
        "title": subject.title,
        "notes": notes,
        "first": times[0],
        "last": times[-1],
        "text": list(subject.text),
        "vocabulary": list(subject.vocabulary),
        "track": _track(subject.track),
        "numbers": numbers,
        "loss": subject.scored.loss if layer == top else "",
        "total": short(torch.tensor([measured.total]))[0],
        "once": subject.once,
        "bits": bool(subject.vocabulary),
        "target": subject.scored.target if layer == top else "",
        "probabilities": _probabilities(step) if layer == top and subject.vocabulary else "",
        "saliency": short(measured.saliency),
        "problem": str(measured.problem or ""),
        "stage": stage(step),
        "forward": _forward(step),
        "backward": _backward(step, of, subject.once and layer == top),
    }


def _numbers(subject: Subject, measured: LayerValues) -> tuple[dict[str, Any], list[str]]:
    """Values and gradients by name, and the names of those whose units do not fit into the page.

    Inputs, states and outputs come before named values, values before gradients, and small ones before large ones.
    """
    step, room, left_out = measured.layer.recurrence, MOST, []
    roles = {n: v.role for n, v in reduce(step).values.items()}
    found: dict[str, Any] = {}
    spoken = tokens(subject, measured)
    for name, rows in measured.values.items():
        node = step.returns.get(name) or step.inputs.get(name) or _labelled(step, name)
        found[name] = {"role": roles[name], "units": rows.shape[1], "scalar": is_scalar(node), **_where(node.source)}
        if len(node.type.dims) == 2:
            found[name]["columns"] = node.type.shape(measured.layer.sizes)[1]
        if name in spoken:
            found[name] |= {"units": 1, "tokens": spoken[name]}
    jobs = [(name, "value", rows) for name, rows in measured.values.items() if "tokens" not in found[name]]
    jobs += [(name, "gradient", rows) for name, rows in measured.gradients.items() if "tokens" not in found[name]]

    def importance(job: tuple[str, str, Tensor]) -> tuple[bool, bool, int]:
        name, kind, rows = job
        return roles[name] == "named", kind == "gradient", rows.shape[1]

    for name, kind, rows in sorted(jobs, key=importance):
        found[name][kind] = {"size": size(rows)}
        if rows.numel() <= room:
            room -= rows.numel()
            found[name][kind] |= pack(rows)
        else:
            left_out.append(f"∇{name}" if kind == "gradient" else name)
    return found, left_out


def _labelled(step: Recurrence, name: str) -> Node:
    return next(node for node, label in step.labels.items() if label == name)


def _where(source: SourceLine | None) -> dict[str, Any]:
    return {"source": f"{source.file}:{source.line}", "line": source.text} if source else {}


def _probabilities(step: Recurrence) -> str:
    return next((n for n, node in step.outputs.items() if node.op == "softmax"), "")


def _forward(step: Recurrence) -> list[dict[str, str]]:
    """The equations of a step, each with the name of the value that it computes."""
    write, values = Text(), {**{n: node for node, n in step.labels.items()}, **step.returns}
    names = {write.name(n, "t", None, is_scalar(node)): n for n, node in values.items()}
    return [{"text": line, "name": names.get(line.split(" = ")[0], "")} for line in equations(step).splitlines()]


def _track(track: Track | None) -> dict[str, Any] | None:
    """What is read, in 8 bits: each column scaled between its minimum and maximum; 255 means missing."""
    if track is None:
        return None
    values = track.values.double().numpy()
    low, high = numpy.nanmin(values, 0, initial=0.0), numpy.nanmax(values, 0, initial=0.0)
    if track.kind == "audio":
        low, high = (numpy.full_like(low, s * numpy.abs(values).max()) for s in (-1, 1))
    share = (values - low) / numpy.where(high > low, high - low, 1.0)
    codes = numpy.where(numpy.isnan(values), 255, numpy.round(254 * numpy.nan_to_num(share))).astype("u1")
    about = {"kind": track.kind, "names": track.names, "per": track.per, "seconds": track.seconds}
    return about | {
        "low": low.tolist(), "high": high.tolist(), "data": base64.b64encode(codes.tobytes()).decode("ascii"),
    }  # fmt: skip


def _backward(step: Recurrence, of: str, once: bool) -> list[dict[str, str]]:
    """The equations of the gradient, each with the value or parameter that it belongs to, and when it holds."""
    write = Text()
    known = {write.name(f"∇{n}", at): (n, at) for at in ("t", "τ") for n in {*step.labels.values(), *step.returns}}
    known |= {write.name(f"∇{n}", None): (n, "sum") for n in step.parameters}
    lines = []
    for line in gradient_equations(differentiate(step, (of,)), last_only=once).splitlines():
        name, at = known.get(line.split(" = ")[0], ("", "τ" if "(τ) = " in line else "t"))
        text, _, condition = line.partition("    for ")
        when = "sum" if at == "sum" else "last" if at == "τ" else "before" if condition else "always"
        lines.append({"text": text, "name": name, "when": when})
    return lines
