"""The circuit of a run as pictures and equations, for people."""

from __future__ import annotations

from pathlib import Path

from ..circuits.circuit import Circuit
from ..files.write import write_text

VIEWS = ("circuit.svg", "unfolded.svg", "equations.txt", "equations.tex")


def write_views(folder: Path, circuit: Circuit, prefix: str = "", steps: int = 3) -> None:
    """Write a circuit as pictures and equations into a folder. ``prefix`` is the beginning of the names of the
    files."""
    drawn = circuit.draw(steps).svg, circuit.unfold(steps).draw().svg
    for name, text in zip(VIEWS, (*drawn, equations_text(circuit), equations_document(circuit)), strict=True):
        write_text(folder / (prefix + name), text)


def equations_text(circuit: Circuit) -> str:
    """The equations of a step, and those of the gradient, as text."""
    return (
        f"{circuit.name}\n\n{circuit.equations()}\n\n"
        f"The gradient, by back-propagation through time:\n\n{circuit.adjoint().equations()}\n"
    )


def equations_document(circuit: Circuit) -> str:
    """The same as a complete LaTeX document."""
    return DOCUMENT % {
        "name": circuit.name.replace("_", r"\_"),
        "step": circuit.equations("latex"),
        "gradient": circuit.adjoint().equations("latex"),
    }


DOCUMENT = r"""\documentclass{article}
\usepackage[paperwidth=420mm,paperheight=297mm,margin=12mm]{geometry}
\usepackage{amsmath}
\allowdisplaybreaks
\pagestyle{empty}
\begin{document}
\footnotesize
\section*{%(name)s}
%(step)s
\section*{The gradient, by back-propagation through time}
%(gradient)s
\end{document}
"""
