"""Pictures: their content, and that nothing in them overlaps."""

from __future__ import annotations

import base64
import io
import itertools
import math
import os
import random
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import pytest
import torch

import unrolled
from pace import relative_time
from unrolled import circuit, nll, sigmoid, softmax, split, tanh, where
from unrolled.cells import ALL
from unrolled.draw import labels, legend, marks, scene
from unrolled.draw.colours import COLOURS, ROLES
from unrolled.draw.drawing import around_t, numbered
from unrolled.draw.reduce import reduce
from unrolled.draw.svg import lines_of
from unrolled.errors import DataError, EngineError, InputError, UnrolledError
from unrolled.transform.unfold import first_time

SVG = "{http://www.w3.org/2000/svg}"


@circuit
def network(x, y, h, *, U, W, b, V, c):
    a = b + W @ h + U @ x
    h = tanh(a)
    o = c + V @ h
    return {"h": h, "o": o, "yhat": softmax(o), "L": nll(o, y)}


@circuit
def fed_back(x, y, o, *, U, W, b, V, c):
    h = tanh(b + W @ o + U @ x)
    o = c + V @ h
    return {"o": o, "L": nll(o, y)}


@circuit
def gated(x, h, c, *, U, W, b):
    i, f, g, o = split(b + W @ h + U @ x, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    c = f * c + i * g
    h = o * tanh(c)
    return {"h": h, "c": c}


@circuit
def two(x, z, s, h, *, U, W, R, Q, V, b):
    """Two inputs, and a slow state that drives the other."""
    h = tanh(b + W @ h + U @ x + R @ s)
    s = sigmoid(Q @ s + V @ z)
    return {"h": h, "s": s, "p": s * h}


@circuit
def register(x, s1, s2, *, V):
    """A value that is passed on from state to state."""
    return {"s1": x, "s2": s1, "o": V @ s2}


@circuit
def alone(s, *, A):
    return {"s": tanh(A @ s)}


OWN = {c.name: c for c in (network, fed_back, gated, two, register, alone)}
CIRCUITS = {**OWN, **{f"cells.{name}": cell for name, cell in ALL.items()}}
DENSE = ("bahdanau", "luong", "mlstm")  # without gates, the letters of an arrow do not fit beside it
every_circuit = pytest.mark.parametrize("name", CIRCUITS)


def scenes(cell, steps: int, gates: bool = True, gradient: bool = False) -> Iterator[marks.Scene]:
    """Both pictures of a circuit as scenes, with every step drawn."""
    diagram, every = reduce(cell.recurrence, gates), numbered(first_time(cell.recurrence), steps, steps)
    for columns, picture in (
        (every, scene.unfolded),
        (around_t(steps) if steps <= 3 else every, scene.side_by_side),
    ):
        layout = scene.Layout.of(diagram, [c.time for c in columns], gradient)
        made = picture(layout, columns)
        legend.explain(made, layout, picture is scene.side_by_side, "steps 3 to 9 are not drawn")
        yield made


def boxes(picture: marks.Scene) -> list[tuple[float, float, float, float, str]]:
    """The boxes (left, top, right, bottom) of all text outside the circles."""
    result = []
    for mark in picture.letters:
        (x, y), half, up = mark.center, labels.width(mark.label, mark.size) / 2, 0.45 * mark.size
        result.append((x - half, y - up, x + half, y + up, labels.plain(mark.label)))
    return result


def sampled(picture: marks.Scene, spacing: float) -> list[numpy.ndarray]:
    """Points along every wire, (points, 2). Points of a line that is drawn several times are computed once."""
    lines = {id(w.line): numpy.array(w.line.sample(spacing)) for w in picture.wires}
    return [lines[id(w.line)] + (w.dx, 0.0) for w in picture.wires]


def distances(circles: list[marks.Circle], points: numpy.ndarray) -> numpy.ndarray:
    """The distance of every point (points, 2) from the outline of every circle, negative inside: (circles, points)."""
    x, y, w, h = numpy.array([(c.place.x, c.place.y, c.place.w, c.place.h) for c in circles]).T[:, :, None]
    nearest = numpy.clip(points[:, 0], x - (w - h) / 2, x + (w - h) / 2)
    return numpy.hypot(points[:, 0] - nearest, points[:, 1] - y) - h / 2


def overlaps(picture: marks.Scene) -> list[str]:
    """The marks that overlap, or run through others."""
    found = [*circles_on_something(picture), *letters_on_something(picture)]
    for dot, square in itertools.product(picture.dots, picture.squares):
        if abs(dot.center[0] - square.center[0]) < 10 and abs(dot.center[1] - square.center[1]) < 10:
            found.append(f"the dot of {dot.role} and a black square")
    return found


def circles_on_something(picture: marks.Scene) -> list[str]:
    circles, found = picture.circles, []
    if not circles:
        return []
    names = [f"{c.name}({c.time})" for c in circles]
    x, y, w, h = numpy.array([(c.place.x, c.place.y, c.place.w, c.place.h) for c in circles]).T
    near = [abs(a[:, None] - a) < (size[:, None] + size) / 2 + 4 for a, size in ((x, w), (y, h))]
    for a, b in numpy.argwhere(numpy.triu(near[0] & near[1], 1)):
        found.append(f"circles {names[a]} and {names[b]}")
    for wire, points in zip(picture.wires, sampled(picture, 4), strict=True):
        away = distances(circles, points)
        strange = numpy.minimum(abs(away[:, 0]), abs(away[:, -1])) > (2 if wire.kind == "gradient" else 0.5)
        for k in numpy.flatnonzero(strange & (away.min(1) < 2)):
            found.append(f"an arrow from {wire.arrow.source} to {wire.arrow.target} and circle {names[k]}")
    return found


def letters_on_something(picture: marks.Scene) -> list[str]:
    found, labels, circles = [], boxes(picture), picture.circles
    marks = [(*d.center, d.radius) for d in picture.dots] + [(*s.center, s.side / 2) for s in picture.squares]
    lines = sampled(picture, 3)
    points = numpy.concatenate([*lines, numpy.zeros((0, 2))])
    of = numpy.repeat(numpy.arange(len(lines)), [len(line) for line in lines])
    for a, b in itertools.combinations(labels, 2):
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]:
            found.append(f"letters {a[4]} and {b[4]}")
    for left, top, right, bottom, letters in labels:
        if any(left < x + r and x - r < right and top < y + r and y - r < bottom for x, y, r in marks):
            found.append(f"letters {letters} and a mark")
        corners = numpy.array(list(itertools.product((left, (left + right) / 2, right), (top, bottom))))
        for k in numpy.flatnonzero(distances(circles, corners).min(1) < 0) if circles else ():
            found.append(f"letters {letters} and circle {circles[k].name}({circles[k].time})")
        low, high = (left + 1, top + 1), (right - 1, bottom - 1)
        for k in numpy.unique(of[((low < points) & (points < high)).all(1)]):
            arrow = picture.wires[k].arrow
            found.append(f"letters {letters} and an arrow from {arrow.source} to {arrow.target}")
    return found


def texts(svg: str, kind: str) -> Counter[str]:
    """How often the document contains each text of a kind, as plain text: h(t-1)."""
    marks = ET.fromstring(svg).iter(f"{SVG}text")
    return Counter("".join(m.itertext()).replace("−", "-") for m in marks if m.get("class") == kind)


@pytest.mark.parametrize("steps", [1, 2, 3, *(pytest.param(n, marks=pytest.mark.slow) for n in (6, 12))])
@every_circuit
def test_nothing_lies_on_top_of_something_else(name: str, steps: int):
    for picture in scenes(CIRCUITS[name], steps):
        assert overlaps(picture) == []


@pytest.mark.parametrize("steps", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 6, 12))])
@every_circuit
def test_nothing_lies_on_top_of_something_else_without_gates_and_with_the_gradient(name: str, steps: int):
    for gates, gradient in ((False, False), (True, True), (False, True)):
        if gates or name.removeprefix("cells.") not in DENSE:
            for picture in scenes(CIRCUITS[name], steps, gates, gradient):
                assert overlaps(picture) == []


def random_circuit(seed: int):
    """Three states and two inputs, combined at random."""
    dice = random.Random(seed)
    extra = dice.randint(0, 4)

    def wild(x, z, h, s, c, *, A, B, C, D):
        pool = [x, z, h, s, c]
        for _ in range(3 + extra):
            terms = [dice.choice((A, B, C, D)) @ v if dice.random() < 0.6 else v for v in dice.sample(pool, 2)]
            pool.append(sigmoid(terms[0] * terms[1] if dice.random() < 0.5 else terms[0] + terms[1]))
        made = pool[5:]
        for parameter, value in zip((A, B, C, D), dice.sample([x, z, h, s], 4), strict=True):
            k = dice.randrange(len(made))
            made[k] = tanh(made[k] + parameter @ value)
        made[-1] = made[-1] * c
        names = ["h", "s", "c", *(f"o{k}" for k in range(extra))]
        dice.shuffle(names)
        return dict(zip(names, made, strict=True))

    return circuit(wild)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.slow
def test_no_arrow_runs_through_a_circle_in_random_circuits(seed: int):
    for picture in scenes(random_circuit(seed), 3):
        assert [problem for problem in overlaps(picture) if "letters" not in problem] == []


def test_the_checks_see_planted_overlaps():
    arrow = reduce(two.recurrence).arrows[0]
    (picture, _) = scenes(two, 2)
    first, second = picture.circles[0], picture.circles[1]
    moved = marks.Circle(first.name, "9", first.role, second.place.moved(5), first.label, first.size)
    assert any("circles" in p for p in overlaps(marks.Scene([*picture.circles, moved])))
    wire = picture.wires[0]
    (x, y), _ = wire.path.start, wire.path.end
    across = marks.Wire(type(wire.path)((((x - 500, second.place.y), (x + 500, second.place.y)),)), arrow)
    assert any("an arrow" in p and "circle" in p for p in overlaps(marks.Scene(picture.circles, [across])))
    mark = picture.letters[0]
    for center, problem in ((mark.center, "letters"), ((second.place.x, second.place.y), "circle"), ((x, y), "arrow")):
        word = marks.Letters(labels.words("WWW"), center, 16)
        planted = marks.Scene(picture.circles, picture.wires, [*picture.letters, word])
        assert any("WWW" in p and problem in p for p in overlaps(planted))
    dot = picture.dots[0]
    assert any(
        "a mark" in p
        for p in overlaps(marks.Scene(letters=[marks.Letters(labels.words("W"), dot.center, 16)], dots=[dot]))
    )
    square = marks.Square(dot.center)
    assert any("black square" in p for p in overlaps(marks.Scene(squares=[square], dots=[dot])))


@pytest.mark.parametrize("name", CIRCUITS)
def test_every_circle_has_the_colour_of_its_role(name: str):
    """A role without a rule in the style sheet is black, and its letter cannot be read."""
    svg = CIRCUITS[name].draw(2).svg
    roles = {role for classes in re.findall(r'<circle class="circle ([\w ]+)"', svg) for role in classes.split()}
    for role in roles - {"faint", "dot"}:
        assert re.search(rf"\.unrolled \.{role}{{[^}}]*fill:#", svg), role


def drawn_at(d: str) -> list[float]:
    """The x of points on a path of lines and cubic curves."""
    found: list[float] = []
    for command, text in re.findall(r"([A-Za-z])([^A-Za-z]*)", d):
        assert command in "MLCZ", d
        xs = [float(v) for v in re.findall(r"-?[\d.]+", text)][::2]
        for k in range(0, len(xs), 3 if command == "C" else 1):
            if command == "C":
                p, q, r, s = found[-1], *xs[k : k + 3]
                ts = [i / 20 for i in range(1, 21)]
                found += [(1 - t) ** 3 * p + 3 * (1 - t) ** 2 * t * q + 3 * (1 - t) * t**2 * r + t**3 * s for t in ts]
            else:
                found.append(xs[k])
    return found


def outside(document: ET.Element, picture: marks.Scene) -> list[str]:
    """The marks that leave the canvas, by their geometry, and every circle, as written in the SVG."""
    left, top, wide, high = map(float, document.get("viewBox").split())
    x0, y0, x1, y1 = picture.bounds()
    found = [] if left < x0 - 4 and top < y0 - 4 and x1 + 4 < left + wide and y1 + 4 < top + high else ["a mark"]
    for circle in document.iter(f"{SVG}circle"):
        cx, cy, r = (float(circle.get(k)) for k in ("cx", "cy", "r"))
        if not (left < cx - r < cx + r < left + wide and top < cy - r < cy + r < top + high):
            found.append("a circle")
    for path in document.iter(f"{SVG}path"):
        dx = float((path.get("transform") or "translate(0)").removeprefix("translate(").rstrip(")"))
        xs = [x + dx for x in drawn_at(path.get("d"))]
        if not left < min(xs) <= max(xs) < left + wide:
            found.append("an arrow")
    return found


@pytest.mark.parametrize("steps", [1, 3, 12])
@every_circuit
def test_everything_is_inside_the_canvas(name: str, steps: int):
    steps = max(steps, 1 if CIRCUITS[name].inputs else 2)  # an autonomous circuit starts at time 1
    for drawing in (CIRCUITS[name].draw(steps), CIRCUITS[name].unfold(steps).draw(gradient=True, most=12)):
        document = ET.fromstring(drawing.svg)
        _, _, wide, high = map(float, document.get("viewBox").split())
        assert abs(float(document.get("width")) - wide) <= 0.5
        assert abs(float(document.get("height")) - high) <= 0.5
        assert outside(document, drawing.scene) == []


def test_the_check_sees_what_leaves_the_canvas():
    drawing = network.draw()
    for planted in (
        drawing.svg.replace('transform="translate(', 'transform="translate(9', 1),
        re.sub(r'cx="[-\d.]+"', 'cx="-900"', drawing.svg, count=1),
        drawing.svg.replace('viewBox="-', 'viewBox="'),
    ):
        assert planted != drawing.svg
        assert outside(ET.fromstring(planted), drawing.scene)


@every_circuit
def test_every_value_is_there_once_per_step(name: str):
    cell = CIRCUITS[name]
    drawn = reduce(cell.recurrence).values
    assert {*cell.inputs, *cell.states, *cell.outputs} <= set(drawn)
    spelled = {n: labels.plain(labels.value(n, None, v.scalar)).replace("_", "") for n, v in drawn.items()}
    spelled = {n: text.replace("\u0303", "˜") for n, text in spelled.items()}  # an accent of its own
    starts = {spelled[a.source] for a in reduce(cell.recurrence).delayed}
    first = 1 if cell.inputs else 2
    seen = texts(cell.unfold(5).draw().svg, "value")
    fixed = {spelled.pop(n) for n in cell.recurrence.fixed}  # the same at every step
    computed = Counter(f"{n}({t})" for n in spelled.values() for t in range(first, 6))
    computed += Counter(n for n in fixed for _ in range(first, 6))
    assert seen == computed + Counter(f"{n}({first - 1})" for n in starts)

    around = texts(cell.draw(3).svg, "value")
    for n in spelled.values():
        assert [around[n], *(around[f"{n}({t})"] for t in ("t-1", "t", "t+1"))] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("cell", "within", "between"),
    [
        (network, "U V", "W"),
        (fed_back, "U V", "W"),
        (gated, "U U U U", "W W W W"),
        (two, "U V", "W R Q"),
        (register, "", "V"),
        (alone, "", "A"),
        (ALL["lstm"], "U", "W"),
        (ALL["peephole_lstm"], "U r", "W p q"),
        (ALL["gru"], "U", "W"),
        (ALL["gru_reset_before"], "U Wn", "W Wn"),
        (ALL["mgu"], "U Uf W", "W Wf"),
        (ALL["indrnn"], "W", "u"),
        (ALL["leaky"], "U rate", "W rate"),
        (ALL["layernorm_lstm"], "U gc gh gx", "W"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_letters_on_the_arrows(cell, within: str, between: str):
    """Arrows within a step are in the circuit and in three steps; arrows between steps once more, for the
    placeholders."""
    expected = Counter(4 * within.split() + 5 * between.split())
    assert texts(cell.draw(3).svg, "parameter") == expected


@every_circuit
def test_a_black_square_for_each_state_that_is_used_again(name: str):
    cell = CIRCUITS[name]
    used = {a.source for a in reduce(cell.recurrence).delayed}
    squares = [r for r in ET.fromstring(cell.draw().svg).iter(f"{SVG}rect") if r.get("class") == "delay"]
    assert len(squares) == len(used) + 1  # and one in the legend
    assert "delay of one step" in texts(cell.draw().svg, "legend")
    assert "delay" not in {r.get("class") for r in ET.fromstring(cell.unfold(3).draw().svg).iter(f"{SVG}rect")}


def test_what_is_only_passed_on_is_no_circle():
    assert list(reduce(network.recurrence).values) == ["x", "y", "h", "o", "yhat", "L"]
    assert "a" in reduce(ALL["lstm"].recurrence).values, "four gates are computed from it"


def test_roles():
    roles = {n: v.role for n, v in reduce(network.recurrence).values.items()}
    assert roles == {"x": "input", "y": "input", "h": "state", "o": "output", "yhat": "output", "L": "loss"}
    assert reduce(gated.recurrence).values["f"].role == "named"


def test_the_order_of_the_book_from_bottom_to_top():
    picture = next(scenes(network, 1))
    height = {c.name: -c.place.y for c in picture.circles if c.time == "1"}
    assert height["x"] < height["h"] < height["o"] < height["L"] < height["y"]
    middle = {c.place.x for c in picture.circles if c.time == "1" and c.name != "yhat"}
    assert len(middle) == 1, "in one column"
    step = [w.path for w in picture.wires if w.arrow.delayed]
    assert all(p.start[1] == p.end[1] and len(p.pieces) == 1 for p in step), "the recurrence is a horizontal line"


def test_long_ones_are_abbreviated_and_say_so():
    drawing = network.unfold(40).draw()
    seen = texts(drawing.svg, "value")
    assert {n for n in seen if n[0] == "x"} == {f"x({t})" for t in (1, 2, 3, 39, 40)}
    assert seen["h(…)"] == 1
    assert texts(drawing.svg, "legend")["steps 4 to 38 are not drawn"] == 1
    assert "Steps 4 to 38 are not drawn." in drawing.text
    assert texts(network.unfold(6).draw().svg, "value")["x(6)"] == 1
    assert "h(…)" not in texts(network.unfold(6).draw().svg, "value")
    assert "not drawn" not in network.unfold(6).draw().svg


def test_as_many_steps_as_one_asks_for():
    seen = texts(network.unfold(40).draw(most=40).svg, "value")
    assert {n for n in seen if n[0] == "x"} == {f"x({t})" for t in range(1, 41)}
    drawing = network.unfold(400).draw(most=400)
    circles = [c for c in drawing.scene.circles if not c.faint]
    assert 900 < len(circles) <= 1000, "no more than a page can show"
    assert "are not drawn" in drawing.text
    assert "Steps 4 to 999998 are not drawn." in network.draw(1_000_000).text
    assert network.unfold(7)._repr_svg_() == network.unfold(7).draw().svg
    with pytest.raises(InputError, match="must be an integer of at least 3, got 2"):
        network.unfold(40).draw(most=2)


def test_outputs_at_the_last_step_alone():
    drawing = network.unfold(4).draw(last_only=True, gradient=True)
    seen = texts(drawing.svg, "value")
    assert set(seen) == {f"h({t})" for t in range(5)} | {f"x({t})" for t in range(1, 5)} | {f"{n}(4)" for n in "oyŷL"}
    assert overlaps(drawing.scene) == []
    assert sum(w.kind == "gradient" and w.arrow is not None for w in drawing.scene.wires) == 4 + 2
    assert "with outputs at the last step only" in drawing.text


def test_the_folded_level():
    values = reduce(ALL["lstm"].recurrence, gates=False).values
    assert list(values) == ["x", "h", "c"] or list(values) == ["x", "c", "h"]
    arrows = {(a.source, a.target, a.delayed) for a in reduce(ALL["lstm"].recurrence, gates=False).arrows}
    assert arrows == {(s, t, d) for t in "hc" for s, d in (("x", False), ("h", True))} | {
        ("c", "h", False),
        ("c", "c", True),
    }
    seen = texts(ALL["lstm"].draw(gates=False).svg, "value")
    assert {n[0] for n in seen} == {"x", "h", "c"}


def test_the_gradient_flows_against_the_arrows():
    """Along every arrow between values that the loss depends on, except to inputs. Not to ŷ, which the loss does not
    use."""
    drawing = network.unfold(3).draw(gradient=True)
    back = Counter((w.arrow.target, w.arrow.source) for w in drawing.scene.wires if w.kind == "gradient" and w.arrow)
    assert back == {("L", "o"): 3, ("o", "h"): 3, ("h", "h"): 3}
    for wire in drawing.scene.wires:
        if wire.kind == "gradient" and wire.arrow:
            forward = next(
                w.path for w in drawing.scene.wires if w.kind == "forward" and (w.arrow, w.dx) == (wire.arrow, wire.dx)
            )
            assert abs(wire.path.start[0] - forward.end[0]) + abs(wire.path.start[1] - forward.end[1]) == 6
    assert texts(drawing.svg, "nabla") == Counter(["∇h(0)", *(f"∇{n}({t})" for n in "oh" for t in (1, 2, 3))])
    assert "Backward: ∇h(t) from ∇h(t+1), ∇o(t)." in drawing.text
    assert "gradient" not in {e.get("class") for e in ET.fromstring(network.unfold(3).draw().svg).iter()}


@every_circuit
def test_gradient_arrows_stand_where_the_adjoint_has_gradients(name: str):
    """The drawn gradient, which follows arrows, agrees with the derived gradient."""
    cell = CIRCUITS[name]
    drawn = reduce(cell.recurrence).carrying
    adjoint = cell.adjoint().recurrence
    derived = {n.removeprefix("∇") for node, n in adjoint.labels.items() if node.op != "constant"}
    derived |= {n for n in cell.states if adjoint.returns[f"δ{n}"].op != "constant"}
    assert drawn - set(adjoint.primal.inputs) <= derived
    assert {n for n in derived if n in reduce(cell.recurrence).values} <= drawn | set(cell.inputs)


def test_no_gradient_through_steps_and_stop_gradient():
    @circuit
    def stopped(x, h, s, *, W):
        h = tanh(W @ h + unrolled.sign(x) + unrolled.stop_gradient(s))
        s = s + unrolled.floor(h)
        return {"h": h, "s": s}

    smooth = {(a.source, a.target): a.smooth for a in reduce(stopped.recurrence).arrows}
    assert smooth == {("h", "h"): True, ("x", "h"): False, ("s", "h"): False, ("s", "s"): True, ("h", "s"): False}


def test_no_gradient_through_a_comparison_or_to_a_token():
    @circuit
    def switch(x, y, h, g, *, W):
        g = tanh(h + x)
        h = where(g > 0, W @ h, x)
        return {"h": h, "g": g, "L": nll(h, y)}

    smooth = {(a.source, a.target): a.smooth for a in reduce(switch.recurrence).arrows}
    assert smooth == {
        ("h", "g"): True,
        ("x", "g"): True,
        ("g", "h"): False,
        ("h", "h"): True,
        ("x", "h"): True,
        ("h", "L"): True,
        ("y", "L"): False,
    }
    assert reduce(switch.recurrence).carrying == {"h", "L"}


def linear(colour: str) -> torch.Tensor:
    """Red, green and blue as linear light (sRGB, IEC 61966-2-1)."""
    parts = torch.tensor([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)], dtype=torch.float64)
    return torch.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


# colour vision without one kind of cones: Machado, Oliveira and Fernandes 2009, severity 1
EYES = {
    "all cones": torch.eye(3).tolist(),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("eyes", EYES)
def test_colour_blind_people_tell_the_roles_apart(eyes, dark):
    """They differ by at least 12 units of CIE 1976 L*a*b*; people can just distinguish about 2."""
    to_xyz = torch.tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).double()
    white = torch.tensor([0.9505, 1.0, 1.089], dtype=torch.float64)

    def lab(role: str) -> torch.Tensor:
        seen = (torch.tensor(EYES[eyes], dtype=torch.float64) @ linear(COLOURS[role][dark])).clamp(0, 1)
        x = to_xyz @ seen / white
        x, y, z = torch.where(x > 0.008856, x ** (1 / 3), 7.787 * x + 16 / 116)
        return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    pairs = itertools.combinations((*ROLES, "parameter", "gradient"), 2)
    near = {(a, b): float((lab(a) - lab(b)).norm()) for a, b in pairs}
    assert all(d >= 12 for d in near.values()), near


def test_colours_differ_in_grey_and_letters_can_be_read():
    def luminance(colour: str) -> float:
        return float(torch.tensor((0.2126, 0.7152, 0.0722), dtype=torch.float64) @ linear(colour))

    def contrast(a: str, b: str) -> float:
        low, high = sorted((luminance(a), luminance(b)))
        return (high + 0.05) / (low + 0.05)

    for dark in (False, True):
        now = {name: pair[dark] for name, pair in COLOURS.items()}
        lightness = sorted(116 * luminance(now[role]) ** (1 / 3) - 16 for role in ROLES)
        assert all(b - a > 5 for a, b in itertools.pairwise(lightness)), "the CIE lightness of roles"
        assert all(contrast(now["ink"], now[role]) >= 4.5 for role in (*ROLES, "named", "paper")), "WCAG 2.1, 1.4.3"
        assert all(contrast(now[name], now["paper"]) >= 4.5 for name in ("parameter", "gradient", "line"))


@circuit
def dense(x, z, h, s, c, m, *, A, B, C, D, E):
    """A circuit with too many arrows for letters in the unfolded graph."""
    g1 = sigmoid(A @ x + B @ h + C @ s)
    g2 = sigmoid(A @ z + B @ c + D @ m + g1)
    g3 = tanh(E @ h + A @ x + D @ s)
    g4 = sigmoid(B @ m + C @ c + g3)
    q = g1 * g2 + g3 * g4
    r = tanh(D @ q + E @ h) * g2
    c = g1 * c + g2 * q + g4 * s
    s = tanh(C @ c) * g3 + r * m
    m = g4 * m + r * q
    h = tanh(B @ s + D @ m) * g1 + q
    return {"h": h, "s": s, "c": c, "m": m, "o": A @ h + C @ s + D @ m, "q": q}


def test_a_dense_circuit_names_its_parameters_in_the_circuit_alone_and_says_so():
    drawing = dense.draw()
    assert overlaps(drawing.scene) == []
    assert texts(drawing.svg, "legend")["41 arrows per step: only the circuit names parameters"] == 1
    named = sum(bool(a.letters) for a in reduce(dense.recurrence).arrows)
    assert sum(texts(drawing.svg, "parameter").values()) == named, "once each"
    assert overlaps(dense.unfold(3).draw(gradient=True).scene) == []


def test_an_adjoint_is_drawn_as_the_arrows_of_its_gradient():
    assert network.adjoint().draw(2).svg == network.draw(2, gradient=True).svg
    assert network.adjoint()._repr_svg_() == network.adjoint().draw().svg
    with pytest.raises(UnrolledError, match="must be 1 or more, got 0"):
        network.adjoint().draw(0)


def test_dots_at_both_ends_of_the_middle_of_a_sequence():
    assert texts(network.draw(3).svg, "value")["h(…)"] == 2
    assert texts(fed_back.draw(3).svg, "value")["o(…)"] == 1, "what came before is an output"
    assert texts(fed_back.draw(3).svg, "value")["h(…)"] == 1, "what comes after is a hidden unit"


@every_circuit
def test_the_document_stands_by_itself(name: str):
    for drawing in (CIRCUITS[name].draw(), CIRCUITS[name].unfold(3).draw()):
        document = ET.fromstring(drawing.svg)
        assert {e.tag.removeprefix(SVG) for e in document.iter()} <= {
            *("svg", "title", "desc", "style", "rect", "circle", "path", "text", "tspan")
        }
        assert "href" not in drawing.svg
        assert "url(" not in drawing.svg
        assert "@import" not in drawing.svg
        assert drawing.svg.count("http") == 1, "the namespace"
        assert not any(key.startswith("on") for e in document.iter() for key in e.attrib)
        assert "prefers-color-scheme:dark" in drawing.svg
        assert drawing._repr_svg_() == drawing.svg


def test_the_text_alternative():
    drawing = network.draw()
    assert drawing.text.splitlines() == [
        "Circuit network and its graph unfolded for 3 steps.",
        "Values of a step: input: x, y; state: h; output: o, ŷ; loss: L.",
        "h(t) from h(t-1) through W, x(t) through U.",
        "o(t) from h(t) through V.",
        "ŷ(t) from o(t).",
        "L(t) from o(t), y(t).",
    ]
    document = ET.fromstring(drawing.svg)
    assert document.get("role") == "img"
    assert [e.tag for e in document][:2] == [f"{SVG}title", f"{SVG}desc"]
    assert document[0].text == drawing.text.splitlines()[0].rstrip(".")
    assert document[1].text == drawing.text
    assert alone.unfold(4).draw().text.startswith("Circuit alone unfolded for 4 steps.")


def test_letters_with_accents_are_drawn_in_matplotlib(tmp_path, caplog):
    @circuit
    def accented(x, h, *, W, theta):
        yhat = tanh(W @ x + theta * h)
        return {"h": yhat, "ybar": tanh(yhat)}

    for drawn in (accented, accented.tangent(), accented.tangent().tangent()):
        drawn.draw(2).save(tmp_path / "accents.png")
    assert not [r.getMessage() for r in caplog.records if "glyph" in r.getMessage()]


def test_save(tmp_path: Path):
    drawing = network.draw()
    drawing.save(tmp_path / "network.svg")
    drawing.save(str(tmp_path / "again.SVG"))
    assert (tmp_path / "network.svg").read_text(encoding="utf-8") == drawing.svg
    assert (tmp_path / "again.SVG").read_bytes() == drawing.svg.encode()


def test_save_as_png_and_pdf(tmp_path: Path):
    matplotlib = pytest.importorskip("matplotlib.image", reason="needs matplotlib")
    drawing = network.draw(gradient=True)
    drawing.save(tmp_path / "network.png")
    drawing.save(tmp_path / "network.pdf")
    image = matplotlib.imread(tmp_path / "network.png")
    left, top, right, _ = drawing.scene.bounds()
    wide = image.shape[1]
    assert abs(wide - 2 * (right - left + 36)) <= 2, "two dots to a unit"
    circle = next(c for c in drawing.scene.circles if c.name == "h" and c.time == "t")
    x, y = (2 * (circle.place.x - 20 - left + 18), 2 * (circle.place.y - top + 18))
    seen = [round(255 * v) for v in image[int(y) - 10, int(x), :3]]
    assert seen == [int(COLOURS["state"][0][k : k + 2], 16) for k in (1, 3, 5)], "the colour of a state"
    assert (tmp_path / "network.pdf").read_bytes().startswith(b"%PDF")
    dark = drawing.figure(dark=True)
    assert matplotlib.__name__ and dark.get_facecolor() != drawing.figure().get_facecolor()


def test_png_without_matplotlib_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(EngineError) as caught:
        network.draw().save(tmp_path / "network.png")
    assert str(caught.value) == (
        "PNG, PDF and figures need matplotlib, which is not installed. "
        'Install it with: pip install "unrolled[plots]", or save the drawing as .svg'
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("net.gif", "a drawing can be saved as .svg, .png or .pdf, got '{tmp}/net.gif'. Name it '{tmp}/net.svg'"),
        ("net", "a drawing can be saved as .svg, .png or .pdf, got '{tmp}/net'. Name it '{tmp}/net.svg'"),
        ("no/net.svg", "'{tmp}/no/net.svg' cannot be written: there is no folder '{tmp}/no'. Make it, or put it back"),
        ("folder.svg", "'{tmp}/folder.svg' cannot be written: is a directory. Name a file in it"),
    ],
)
def test_save_where_it_cannot(tmp_path: Path, name: str, message: str):
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(InputError if "a drawing" in message else DataError) as caught:
        network.draw().save(tmp_path / name)
    assert str(caught.value) == message.format(tmp=tmp_path)
    assert isinstance(caught.value, UnrolledError)


def test_drawing_no_steps_is_refused():
    with pytest.raises(UnrolledError, match="must be 1 or more, got 0"):
        network.draw(0)


def test_the_same_picture_in_every_run():
    program = (
        "import hashlib, unrolled.cells as c; print(hashlib.sha1(c.peephole_lstm.draw().svg.encode()).hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(runs) == 1
    assert ALL["peephole_lstm"].draw().svg == ALL["peephole_lstm"].draw().svg


FAST = 15  # units of fixed work, see tests/pace.py; the goal is 5, which is 0.05 s


@pytest.mark.parametrize("name", ALL)
def test_drawing_is_fast(name: str):
    assert relative_time(ALL[name].draw) < FAST


@pytest.mark.parametrize("name", ALL)
def test_a_thousand_circles_are_drawn_fast(name: str):
    graph = ALL[name].unfold(1000 // len(reduce(ALL[name].recurrence).values))
    assert len(graph.draw(most=1000).scene.circles) > 900
    assert relative_time(lambda: graph.draw(most=1000)) < FAST


@pytest.mark.parametrize("name", ["network", "fed_back", "gated"])
def test_golden(name: str, golden: Callable[[str, str], None]):
    golden(f"draw_{name}.svg", OWN[name].draw().svg)


@pytest.mark.parametrize("name", ALL)
def test_numbers_in_the_circles_lie_on_nothing_and_inside_their_circle(name: str):
    seen = unrolled.measure(ALL[name])
    for gates, gradient in ((True, True), (False, False))[: 1 + (name not in DENSE)]:
        drawing = seen.draw(gates=gates, gradient=gradient, most=4)
        assert overlaps(drawing.scene) == []
        assert outside(ET.fromstring(drawing.svg), drawing.scene) == []
        for circle in drawing.scene.circles:
            for label, kind, y, size in lines_of(circle):
                half = 0.85 * labels.width(label, size) / 2
                corners = [(circle.place.x + s * half, y + r * 0.3 * size) for s in (-1, 1) for r in (-1, 1)]
                assert max(circle.place.distance(*p) for p in corners) < 2, (circle.name, kind)


def test_the_numbers_in_the_circles_are_those_of_the_library():
    seen = unrolled.measure(ALL["lstm"], seed=3)
    drawing = seen.draw(most=49)
    written = {}
    for mark in ET.fromstring(drawing.svg).iter(f"{SVG}text"):
        if mark.get("class") == "value":
            name = "".join(mark.itertext())
        elif mark.get("class") in ("number", "nan"):
            written.setdefault(name, []).append("".join(mark.itertext()).replace("−", "-"))
    for t in (1, 17, 49):
        for name in "hcifgo":
            value, gradient = (group[name][t - 1].square().mean().sqrt() for group in (seen.values, seen.gradients))
            shown = written[f"{name}({t})"]
            assert float(shown[0]) == pytest.approx(float(value), rel=6e-3)
            assert shown[1][0] == "∇" and float(shown[1][1:]) == pytest.approx(float(gradient), rel=6e-2)
        assert float(written[f"L({t})"][0]) == pytest.approx(float(seen.values["L"][t - 1, 0]), rel=6e-3)
    assert written["x(1)"][0] == "I" and written["y(1)"] == ["␣"]
    assert any(line.startswith("h(17): 0.") for line in drawing.text.splitlines())


def test_numbers_of_evaluate_in_the_unfolded_graph():
    torch.manual_seed(0)
    leaves = {n: torch.randn(s) for n, s in network.shapes(x=2, h=3, o=4).items()}
    graph = network.unfold(3)
    values = graph.evaluate(x=torch.randn(1, 3, 2), y=torch.randint(4, (1, 3)), h=torch.zeros(1, 3), **leaves)
    seen = texts(graph.draw(values=values).svg, "number")
    expected = [*values["L"][0].tolist(), *values["h"][0].square().mean(1).sqrt().tolist()]
    assert all(any(float(n) == pytest.approx(v, rel=6e-3) for n in seen) for v in expected)
    with pytest.raises(
        InputError, match=r"values\['h'\] must have shape \(1, 3, ...\), for one sequence; got \(2, 3, 3\)"
    ):
        graph.draw(values={"h": torch.zeros(2, 3, 3)})


def pixels(drawing) -> list[numpy.ndarray]:
    """The pictures in a document: (rows, columns, 4)."""
    matplotlib = pytest.importorskip("matplotlib.image", reason="needs matplotlib")
    found = re.findall(r"data:image/png;base64,([\w+/=]+)", drawing.svg)
    return [numpy.round(255 * matplotlib.imread(io.BytesIO(base64.b64decode(data)))).astype(int) for data in found]


def test_heat_maps_show_the_values_beside_the_text():
    seen = unrolled.measure(ALL["gru"], seed=1)
    drawing = seen.heat("h", "∇h", "L", "saliency")
    assert overlaps(drawing.scene) == []
    for picture, rows in zip(
        pixels(drawing),
        (seen.values["h"], seen.gradients["h"], seen.values["L"], seen.saliency[:, None]),
        strict=True,
    ):
        high, wide = picture.shape[0] // rows.shape[1], picture.shape[1] // rows.shape[0]
        cells = picture[high // 2 :: high, wide // 2 :: wide]
        strength = rows.abs() / rows.abs().max()
        numpy.testing.assert_allclose(cells[:, :, 3], 255 * strength.T, atol=1)
        strong = strength.T > 0.1
        assert ((cells[:, :, 0] > cells[:, :, 2]) == (rows.T > 0).numpy())[strong].all(), "orange above zero"
    assert "".join(texts(drawing.svg, "mono")) != "" and texts(drawing.svg, "mono")["N"] == 2
    assert sum(texts(drawing.svg, "mono").values()) == 49
    assert drawing.text.startswith("Heat maps of gru: h, ∇h, L, saliency.")
    assert seen._repr_svg_() == seen.heat("h", "∇h").svg
    with pytest.raises(InputError, match=r"there is no value 'hh'\. Did you mean 'h'"):
        seen.heat("hh")


def test_numbers_that_are_not_finite_are_shown_and_located():
    net = unrolled.Recurrent(network, x=2, h=3, o=4)
    x, y = torch.randn(9, 2), torch.randint(4, (9,))
    x[5, 1] = math.nan
    seen = unrolled.measure(net, x=x, y=y)
    said = "Not all numbers are finite. The first value: x is NaN at step 6, unit 2."
    assert seen.problem == said
    drawing = seen.draw(most=9)
    assert said in drawing.text and texts(drawing.svg, "nan")["NaN"] >= 4
    assert texts(drawing.svg, "legend")[said] == 1
    (picture,) = pixels(seen.heat("h"))
    assert (picture[-1, -1] == (230, 0, 180, 255)).all() and said in seen.heat("h").text


def test_heat_maps_are_saved_as_png_and_pdf(tmp_path: Path):
    matplotlib = pytest.importorskip("matplotlib.image", reason="needs matplotlib")
    drawing = unrolled.measure(ALL["rnn"]).heat()
    for ending in ("svg", "png", "pdf"):
        drawing.save(tmp_path / f"heat.{ending}")
    left, top, right, bottom = drawing.scene.bounds()
    image = matplotlib.imread(tmp_path / "heat.png")
    assert abs(image.shape[1] - 2 * (right - left + 36)) <= 2
    assert abs(image.shape[0] - 2 * (bottom - top + 36)) <= 2


def test_marks_are_centred_above_their_letters():
    svg = ALL["rnn"].tangent().draw(1).svg
    texts = [text for text in re.findall(r"<text.*?</text>", svg) if "˙" in text]
    kinds = Counter(re.match(r'<text class="(\w+)', text)[1] for text in texts)
    assert kinds == {"value": 6, "parameter": 5, "key": 1} and not re.search(
        "[\u0300-\u036fẋḣẆ]", svg.split("<rect")[1]
    )
    for text in texts:
        spans = re.findall(
            r'<tspan x="(\S+)" y="(\S+)" style="text-anchor:(\w+)">(.*?)</tspan>(?=<tspan x|</text>)', text
        )
        for (at, line, _, letter), (above, height, anchor, mark) in itertools.pairwise(spans):
            if "˙" in mark:
                assert at == above and anchor == "middle"
                assert height == line if ">x<" in letter else float(height) < float(line) - 3
            else:
                assert height == spans[0][1], "what follows is on the line of the letter"
