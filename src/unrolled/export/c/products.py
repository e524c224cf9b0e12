"""The functions that multiply a matrix by a vector, for each kind of numbers."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy
from numpy.typing import NDArray

from .narrow import KINDS

PANEL = 16

# how a vector of a kind is loaded
LOADS = {
    "float32": "(*(const u_vector *)(address))",
    "bf16": "u_load_bf16(address)",
    "int8": "u_load_int8(address)",
}
NARROW = """\
typedef {integer} u_integers __attribute__((vector_size(4 * LANES)));
/* GCC makes one instruction of the loop, but many of the conversion; Clang makes one of the conversion. */
INLINE u_vector u_load_{kind}(const {type} *address) {
    u_integers wide;
#if defined(__clang__)
    typedef {type} u_few __attribute__((vector_size({bytes} * LANES), aligned({bytes}), may_alias));
    wide = __builtin_convertvector(*(const u_few *)address, u_integers);
#else
    UNROLL for (int j = 0; j < LANES; j++) wide[j] = address[j];
#endif
    return {number};
}
"""
NUMBER = {"bf16": "(u_vector)(wide << 16)", "int8": "__builtin_convertvector(wide, u_vector)"}


def _load(kind: str) -> str:
    """The function that loads a vector of narrow numbers."""
    integer = "uint32_t" if kind == "bf16" else "int32_t"
    words = {"integer": integer, "kind": kind, "type": KINDS[kind].type, "bytes": str(KINDS[kind].bytes)}
    text = NARROW
    for word, value in {**words, "number": NUMBER[kind]}.items():
        text = text.replace(f"{{{word}}}", value)
    return f"#if defined(__GNUC__)\n{text}#endif\n"


def products(kinds: list[str]) -> str:
    """C of the products for some kinds of numbers, whose names still begin with u_."""
    if not kinds:
        return ""
    texts = [_text("vectors")]
    for kind in kinds:
        load = LOADS[kind].replace("address", r"\1")
        text = re.sub(r"LOAD\(([^()]*)\)", load.replace("\\1", r"\g<1>"), _text("panels"))
        text = re.sub(r"PLAIN\((W\[[^\]]*\])\)", rf"{KINDS[kind].number}".format(r"\g<1>"), text)
        text = text.replace("NUMBER", KINDS[kind].type)
        text = text.replace("SCALES ", "const float *restrict scale, " if KINDS[kind].scaled else "")
        text = text.replace(" SCALED", " * scale[i + j]" if KINDS[kind].scaled else "")
        if kind != "float32":
            text = text.replace("u_panel", f"u_panel_{kind}").replace("u_multiply", f"u_product_{kind}")
        texts.append((_load(kind) if kind != "float32" else "") + text)
    return re.sub(r"\b(LANES|UNROLL)\b", r"u_\1", "\n".join(texts))


@cache
def _text(name: str) -> str:
    return (Path(__file__).parent / f"{name}.c").read_text(encoding="utf-8")


def in_panels(matrix: NDArray[numpy.generic]) -> NDArray[numpy.generic]:
    """A matrix (rows, columns) as panels of 16 rows, each column after column: (panels, columns, 16)."""
    rows, columns = matrix.shape
    panels = -(-rows // PANEL)
    padded = numpy.zeros((panels * PANEL, columns), matrix.dtype)
    padded[:rows] = matrix
    return padded.reshape(panels, PANEL, columns).transpose(0, 2, 1)
