"""``unrolled::run``: a call of a network as one operator of torch, for ``torch.compile`` and ``torch.export``.

The operator takes tensors and the text of a ``Description``, so an exported program carries its circuit. It makes the
checks, the call and the numbers of a network that is not compiled. ``unrolled::pull`` computes its gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import Library, register_autograd, register_fake

from ..engines.border import untraced, without_autocast
from ..engines.call import Kept
from ..engines.function import run as run_step
from ..engines.function import run_sequences
from ..engines.kept import Extent, kept_shapes, opened, packed
from ..engines.passes import gradients, shaped
from .description import STEP, Description
from .operator_bound import ready, remember
from .operator_call import Made
from .operator_shapes import shapes

Maybe = Tensor | None


@untraced
@without_autocast
def _run(
    tensors: Sequence[Tensor], lengths: Sequence[Tensor], reset: Maybe, steps: int | None, text: str, keep: bool
) -> list[Tensor]:
    """The returned values, the states after the last steps (unless it is one step), and with ``keep`` the values that
    the backward pass needs.

    Args:
        tensors: parameters, inputs, given series and states, as ``Description`` names them.
        lengths: those of the series and of ``reset`` if they are Ragged, otherwise none.
        reset: booleans (batch, time), or the values of a Ragged.
        steps: the number of steps, for a circuit without inputs.
        text: what ``described`` returns.
        keep: whether a backward pass may follow.
    """
    plain = not lengths and reset is None
    if plain and (known := ready("run", text, steps, tensors)):
        return known.run(tensors, keep)
    made = Made.of(tensors, lengths, reset, steps, text)
    if plain:
        remember("run", text, steps, tensors, made)
    if not made.about.plain:
        return _apart(_returned(made), tensors)
    call, keep = made.call, keep and made.keeps
    found, kept = made.engine.forward(call, keep=keep)
    extra = packed(made.engine, call, kept) if keep else []
    results = shaped(found, call, made.about.kind != STEP)
    returned, last = results[: len(call.recurrence.returns)], results[len(call.recurrence.returns) :]
    return _apart([*returned, *made.in_order(made.ends | dict(zip(call.state, last, strict=False))), *extra], tensors)


@untraced
@without_autocast
def _pull(
    tensors: Sequence[Tensor],
    lengths: Sequence[Tensor],
    reset: Maybe,
    steps: int | None,
    text: str,
    results: Sequence[Tensor],
    grads: Sequence[Tensor],
    arrived: Sequence[bool],
    wanted: Sequence[bool],
) -> list[Tensor]:
    """The gradients of some tensors of ``run``.

    Args:
        tensors, lengths, reset, steps, text: the arguments of ``run``.
        results: what it returned, without the states after the last steps.
        grads: the gradients that arrive at the returned values and at the states after the last steps.
        arrived: for each of those, whether one arrives.
        wanted: for each tensor, whether its gradient is requested.
    """
    given = iter(grads)
    sent = [next(given) if there else None for there in arrived]
    plain, arguments = not lengths and reset is None, (lengths, reset, steps, text)
    known = ready("pull", text, steps, tensors) if plain else None
    done = known.pull(tensors, results, sent, wanted) if known and len(results) > known.returns else None
    if done is not None:
        return done
    made = Made.of(tensors, *arguments)
    if not made.about.plain:
        leaves = [t.detach().requires_grad_(wants) for t, wants in zip(tensors, wanted, strict=True)]
        with torch.enable_grad():
            again = _again(leaves, *arguments, sent, wanted, create_graph=False)
        asked_for = (t for t, wants in zip(tensors, wanted, strict=True) if wants)
        return _apart(
            [torch.zeros_like(t) if g is None else g.contiguous() for t, g in zip(asked_for, again, strict=True)],
            [*tensors, *grads],
        )
    if plain:
        remember("pull", text, steps, tensors, made)
    call = made.call
    count, states = len(call.recurrence.returns), made.about.circuit.states
    of_ends = dict(zip(states, sent[count:], strict=False))
    names = made.about.leaves
    asked = [n for n, wants in zip(names, wanted, strict=True) if wants]
    moving = [n for n, leaf in call.leaves.items() if leaf.is_floating_point()]
    needed = set(moving if made.about.given else asked)
    arriving = [*sent[:count], *(of_ends.get(n) for n in call.state)]
    pulled = gradients(made.engine, call, _kept(made, results), arriving, needed)
    found = dict(zip(call.leaves, pulled, strict=True))
    values: Sequence[Maybe]
    if made.about.given:
        at = [*(found[n] for n in moving), *(of_ends.get(n) for n in made.ends)]
        values = _through_given(tensors, wanted, arguments, at)
    else:
        values = [found.get(n) for n in asked]
    of = (t for t, wants in zip(tensors, wanted, strict=True) if wants)
    whole = [torch.zeros_like(t) if g is None else g.reshape(t.shape) for t, g in zip(of, values, strict=True)]
    return _apart([g.contiguous() for g in whole], [*tensors, *grads])


def _through_given(
    tensors: Sequence[Tensor], wanted: Sequence[bool], arguments: Any, sent: Sequence[Maybe]
) -> Sequence[Tensor]:
    """The gradients of tensors from those of the leaves of their call, which are made from series that are shifted."""

    def leaves(*moving: Tensor) -> tuple[Tensor, ...]:
        each = iter(moving)
        made = Made.of([next(each) if wants else t for t, wants in zip(tensors, wanted, strict=True)], *arguments)
        return *(t for t in made.call.leaves.values() if t.is_floating_point()), *made.ends.values()

    of = [t for t, wants in zip(tensors, wanted, strict=True) if wants]
    values, pull_back, *_ = torch.func.vjp(leaves, *of)
    sends = tuple(torch.zeros_like(v) if g is None else g for v, g in zip(values, sent, strict=True))
    found: Sequence[Tensor] = pull_back(sends)
    return found


def _pull_shapes(tensors: Sequence[Tensor], *others: Any) -> list[Tensor]:
    return [t.new_empty(t.shape) for t, wants in zip(tensors, others[-1], strict=True) if wants]


def _kept(made: Made, results: Sequence[Tensor]) -> Kept:
    """What the forward pass kept, from the results of ``run``, or computed again."""
    call = made.call
    returns = call.recurrence.returns
    extra = results[len(returns) :]
    if len(extra) != len(kept_shapes(made.engine, call.recurrence, Extent.of(call))):
        return made.engine.forward(call, keep=True)[1]
    given = zip(returns.items(), results, strict=False)
    rows = {n: v.flatten(0, -2) if node.type.dims else v.reshape(-1, 1) for (n, node), v in given}
    return opened(made.engine, call, rows, extra)


def _apart(made: Sequence[Tensor], others: Sequence[Tensor]) -> list[Tensor]:
    """The tensors, each in memory of its own, as torch demands of operators."""
    seen = {t.untyped_storage().data_ptr() for t in others}
    found = []
    for t in made:
        place = t.untyped_storage().data_ptr()
        found.append(t.clone() if place in seen and t.numel() else t)
        seen.add(place)
    return found


def _remember(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    tensors, lengths, reset, ctx.steps, ctx.text, _ = inputs
    about = Description.of(ctx.text)
    ctx.counts = len(tensors), len(lengths), len(about.step(()).returns)
    ctx.states = 0 if about.kind == STEP else len(about.circuit.states)
    extra = output[ctx.counts[2] + ctx.states :]
    ctx.mark_non_differentiable(*extra, *(x for x in output if not x.is_floating_point()))
    ctx.set_materialize_grads(False)
    ctx.reset = reset is not None
    ctx.save_for_backward(*tensors, *lengths, *output[: ctx.counts[2]], *extra, *([reset] if ctx.reset else []))


def _pulled(ctx: Any, grads: Sequence[Maybe]) -> tuple[Any, ...]:
    saved, (count, many, _) = list(ctx.saved_tensors), ctx.counts
    reset = saved.pop() if ctx.reset else None
    tensors, lengths, results = saved[:count], saved[count : count + many], saved[count + many :]
    sent = grads[: ctx.counts[2] + ctx.states]
    wanted, arrived = list(ctx.needs_input_grad[0]), [g is not None for g in sent]
    if not any(arrived) or not any(wanted):
        return [None] * count, [None] * many, None, None, None, None
    given = [g for g in sent if g is not None]
    arguments = tensors, lengths, reset, ctx.steps, ctx.text
    found = iter(
        _again(*arguments, sent, wanted)
        if torch.is_grad_enabled()
        else pull(*arguments, results, given, arrived, wanted)
    )
    return [next(found) if wants else None for wants in wanted], [None] * many, None, None, None, None


def _again(
    tensors: Sequence[Tensor],
    lengths: Any,
    reset: Any,
    steps: Any,
    text: str,
    sent: Sequence[Maybe],
    wanted: Sequence[bool],
    create_graph: bool = True,
) -> Sequence[Maybe]:
    """The gradients by the call that is not an operator, which can be differentiated again."""
    values = _returned(Made.of(tensors, lengths, reset, steps, text))
    arrived = [(v, g) for v, g in zip(values, sent, strict=True) if g is not None and v.requires_grad]
    asked = [t for t, wants in zip(tensors, wanted, strict=True) if wants]
    return torch.autograd.grad(
        [v for v, _ in arrived], asked, [g for _, g in arrived], create_graph=create_graph, allow_unused=True
    )


def _returned(made: Made) -> list[Tensor]:
    """The returned values, and the states after the last steps, of the call that is not an operator."""
    if made.about.kind == STEP:
        return list(run_step(made.engine, made.call).values())
    results, ends = run_sequences(made.engine, made.call)
    return [*results.values(), *made.in_order(made.ends | ends)]


_CALL = "Tensor[] tensors, Tensor[] lengths, Tensor? reset, SymInt? steps, str text"
_OPERATORS: list[tuple[str, str, Any, Any]] = [
    ("run", "bool keep", _run, shapes),
    ("pull", "Tensor[] results, Tensor[] grads, bool[] arrived, bool[] wanted", _pull, _pull_shapes),
]
_library = Library("unrolled", "DEF")  # not custom_op, whose wrappers take longer than a short call
for _name, _others, _function, _shapes in _OPERATORS:
    _library.define(f"{_name}({_CALL}, {_others}) -> Tensor[]", tags=torch.Tag.pt2_compliant_tag)
    _library.impl(_name, _function, "CompositeExplicitAutograd")
    register_fake(f"unrolled::{_name}", _shapes, lib=_library)
register_autograd("unrolled::run", _pulled, setup_context=_remember, lib=_library)
run, pull = torch.ops.unrolled.run.default, torch.ops.unrolled.pull.default
