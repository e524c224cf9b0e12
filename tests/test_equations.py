"""Printed equations, compared with golden files that can be read beside the lecture."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from cells_for_tests import CIRCUITS, lecture, lecture_output_recurrence
from unrolled import cells, circuit, split, tanh
from unrolled.graph import notation, printer
from unrolled.graph.ops import LEAVES, OPS
from unrolled.transform import differentiate, evaluate


def test_every_table_is_total():
    assert set(printer.ROWS) == set(OPS) | set(LEAVES)
    assert set(differentiate.VJP) == set(OPS)
    assert set(evaluate.rules()) == set(OPS)


def both(equations: str, gradient: str) -> str:
    return f"{equations}\n\n{gradient}\n"


@pytest.mark.parametrize("format", ["text", "latex"])
def test_structure_1(golden, format):
    """Section 'computing the gradient' of the lecture, line by line (with W^T diag(1 - h^2) in the right order)."""
    golden(f"structure_1.{format}", both(lecture.equations(format), lecture.adjoint().equations(format)))


@pytest.mark.parametrize("format", ["text", "latex"])
def test_structure_2(golden, format):
    cell = lecture_output_recurrence
    golden(f"structure_2.{format}", both(cell.equations(format), cell.adjoint().equations(format)))


@pytest.mark.parametrize("format", ["text", "latex"])
def test_structure_3(golden, format):
    """The circuit of structure 1; the loss depends on the last step only."""
    golden(
        f"structure_3.{format}",
        both(lecture.equations(format), lecture.adjoint().equations(format, last_only=True)),
    )


@pytest.mark.parametrize("format", ["text", "latex"])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_gated(golden, name, format):
    cell = CIRCUITS[name]
    golden(f"{name}.{format}", both(cell.equations(format), cell.adjoint().equations(format, inputs=True)))


def test_all_cells(golden):
    golden("cells.text", "\n".join(f"{name}\n{cell.equations()}\n" for name, cell in CIRCUITS.items()))


def test_the_lecture_says_so():
    """Each line of the lecture is present."""
    lines = lecture.adjoint().equations().splitlines()
    assert lines == [
        "∇o(t) = ŷ(t) - 1[y(t)]",
        "∇h(τ) = Vᵀ ∇o(τ)",
        "∇h(t) = Wᵀ diag(1 - h(t+1)²) ∇h(t+1) + Vᵀ ∇o(t)    for t < τ",
        "∇c = Σ_t ∇o(t)",
        "∇b = Σ_t diag(1 - h(t)²) ∇h(t)",
        "∇V = Σ_t ∇o(t) h(t)ᵀ",
        "∇W = Σ_t diag(1 - h(t)²) ∇h(t) h(t-1)ᵀ",
        "∇U = Σ_t diag(1 - h(t)²) ∇h(t) x(t)ᵀ",
    ]


def test_classical_system_unfolded(golden):
    @circuit
    def f(s, *, theta):
        return {"s": tanh(theta @ s)}

    graph = f.unfold(3)
    assert graph.equations(form="nested") == "s(3) = f(f(s(1); θ); θ)"
    assert graph.equations(form="steps") == "s(2) = f(s(1); θ)\ns(3) = f(s(2); θ)"
    assert graph.equations(form="full") == "s(2) = tanh(θ s(1))\ns(3) = tanh(θ s(2))"
    texts = [
        graph.equations(),
        graph.equations(form="full"),
        graph.equations("latex"),
        CIRCUITS["elman"].unfold(2).equations(),
    ]
    golden("unfolded.text", "\n\n".join(texts) + "\n")


def test_names_become_mathematics():
    name = notation.Text().name
    assert [name(n, "t") for n in ("yhat", "W_h", "Wf", "h1", "theta", "drive")] == [
        "ŷ(t)", "W_h(t)", "W_f(t)", "h₁(t)", "θ(t)", "drive(t)",
    ]  # fmt: skip


def test_shared_values_have_a_letter_of_their_own():
    """Not that of a value whose parts have its letter and a number."""
    lines = cells.mlstm.adjoint().equations()
    assert "p₃(t) = ∇h(t) /" in lines and "g₃" not in lines and "softplus(-g₂(t))" in lines
    assert "g₁" in cells.layernorm_lstm.adjoint().equations(), "where it is free"


def test_shared_values_have_names_where_no_letter_is_free():
    @circuit
    def crowded(x, h, *, W, U):
        p, r, y, z, j, l = (tanh(k * h) for k in range(1, 7))
        g = W @ x + U @ (p + r * y + z * j * l)
        first, second = split(g, 2)
        return {"h": tanh(first) * tanh(second) + tanh(first * second), "p": p, "r": r, "y": y, "z": z, "j": j, "l": l}

    assert crowded.adjoint().equations()


def test_brackets_are_where_they_are_needed():
    @circuit
    def cell(a, b, h, *, W):
        first = a - (b - h)
        second = a - b - h + (a + b)
        third = (a + b) * (a - b) / (a * b) - -(a + h)
        fourth = a / (b / h) - (a / b) / h
        fifth = W @ (a + b) - (W + W.T) @ h
        h = first + second + third + fourth + fifth
        return {"h": h}

    assert cell.equations().splitlines() == [
        "first(t) = a(t) - (b(t) - h(t-1))",
        "second(t) = a(t) - b(t) - h(t-1) + a(t) + b(t)",
        "third(t) = (a(t) + b(t)) ⊙ (a(t) - b(t)) / (a(t) ⊙ b(t)) - (-(a(t) + h(t-1)))",
        "fourth(t) = a(t) / (b(t) / h(t-1)) - a(t) / b(t) / h(t-1)",
        "fifth(t) = W (a(t) + b(t)) - (W + Wᵀ) h(t-1)",
        "h(t) = first(t) + second(t) + third(t) + fourth(t) + fifth(t)",
    ]


def test_latex_compiles(tmp_path):
    """One document with all equations of all circuits, forward and backward."""
    if not shutil.which("pdflatex"):
        pytest.skip("needs pdflatex")
    parts = []
    for name, cell in CIRCUITS.items():
        parts += [rf"\section*{{{name.replace('_', ' ')}}}", cell.equations("latex")]
        parts += [
            cell.adjoint().equations("latex", inputs=True),
            cell.adjoint().equations("latex", last_only=True),
        ]
        parts.append(cell.unfold(3).equations("latex"))
    body = "\n".join(parts)
    (tmp_path / "all.tex").write_text(
        "\\documentclass{article}\n\\usepackage{amsmath}\n\\usepackage[paperwidth=150cm]{geometry}\n"
        f"\\begin{{document}}\n{body}\n\\end{{document}}\n",
        encoding="utf-8",
    )
    run = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-2000:]
