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
    "int8": "__builtin_convertvector(*(const u_bytes *)(address), u_vector)",
}
TYPES = {
    "float32": "",
    "bf16": "typedef uint16_t u_halves __attribute__((vector_size(2 * LANES), aligned(2), may_alias));\n"
    "typedef uint32_t u_words __attribute__((vector_size(4 * LANES)));\n"
    "static inline u_vector u_load_bf16(const uint16_t *address) {\n"
    "    return (u_vector)(__builtin_convertvector(*(const u_halves *)address, u_words) << 16);\n"
    "}\n",
    "int8": "typedef int8_t u_bytes __attribute__((vector_size(LANES), aligned(1), may_alias));\n",
}


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
        types = f"#if defined(__GNUC__)\n{TYPES[kind]}#endif\n" if TYPES[kind] else ""
        texts.append(types + text)
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
