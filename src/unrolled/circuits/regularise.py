"""Regularised circuits, made from any circuit. A network of one draws the masks or the noise in training; otherwise it
uses their means, so that its results do not depend on chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from ..errors import CircuitError, UsageError, did_you_mean
from ..graph.bind import of_data
from ..graph.node import REAL
from ..graph.recurrence import Recurrence
from ..transform import regularise
from .circuit import Circuit


def zoneout(circuit: Circuit, **shares: float) -> Circuit:
    """Let some entries of states keep their previous value, in training (Krueger et al. 2017).

    >>> print(zoneout(unrolled.cells.rnn, h=0.1).equations())
    d_h(t) ~ Bernoulli(0.1)
    h_new(t) = tanh(b + W h(t-1) + U x(t))
    h(t) = d_h(t) ⊙ h(t-1) + (1 - d_h(t)) ⊙ h_new(t)

    The mask d_h of a state h is drawn for each step, and replaced with its mean in evaluation. States are computed from
    the new values of other states before zoneout, as in the paper; outputs from those after it.

    Args:
        circuit: the circuit.
        shares: for each state, the probability that an entry keeps its value: above 0 and below 1.

    Raises:
        CircuitError: a name is not a vector or matrix state, or a share is out of range.

    Reference: Krueger, D. et al. (2017). Zoneout: Regularizing RNNs by randomly preserving hidden activations. ICLR.
    """
    return _made("zoneout", regularise.zoneout, circuit, shares, "d", inputs=False)


def variational(circuit: Circuit, **shares: float) -> Circuit:
    """Drop some entries of inputs and states, the same ones at every step of a sequence, in training (Gal and
    Ghahramani 2016).

    >>> print(variational(unrolled.cells.rnn, x=0.2, h=0.3).equations())
    z_x ~ Bernoulli(0.8) / 0.8
    z_h ~ Bernoulli(0.7) / 0.7
    h(t) = tanh(b + W (h(t-1) ⊙ z_h) + U (x(t) ⊙ z_x))

    The mask z_x is an input that is fixed in time. An input is masked wherever it is read; a state, where it is
    multiplied by a matrix. In evaluation nothing is dropped.

    Args:
        circuit: the circuit.
        shares: for each input or state, the probability that an entry is dropped: above 0 and below 1.

    Raises:
        CircuitError: a name is not a vector, a state is not multiplied by a matrix, or a share is out of range.

    Reference: Gal, Y. and Ghahramani, Z. (2016). A theoretically grounded application of dropout in recurrent neural
    networks. NeurIPS.
    """
    made = _made("variational", regularise.variational, circuit, shares, "z", most_dims=1)
    for n in shares:
        if n in circuit.states and n not in regularise.multiplied(circuit.recurrence):
            raise CircuitError(
                f"variational masks a state where it is multiplied by a matrix, but circuit '{circuit.name}' never "
                f"multiplies '{n}' by one. Use zoneout or noise"
            )
    return made


def noise(circuit: Circuit, **deviations: float) -> Circuit:
    """Add normal noise to inputs or states, in training (Jim, Giles and Horne 1996).

    >>> print(noise(unrolled.cells.rnn, h=0.05).equations())
    ε_h(t) ~ Normal(0, 0.05²)
    h_new(t) = tanh(b + W h(t-1) + U x(t))
    h(t) = h_new(t) + ε_h(t)

    The noise is drawn for each step. In evaluation nothing is added.

    Args:
        circuit: the circuit.
        deviations: for each input or state, the standard deviation of the noise: above 0.

    Raises:
        CircuitError: a name is not a vector or a matrix, or a deviation is not positive.

    Reference: Jim, K.-C., Giles, C. L. and Horne, B. G. (1996). An analysis of noise in recurrent neural networks:
    convergence and generalization. IEEE Transactions on Neural Networks 7(6).
    """
    return _made("noise", regularise.noise, circuit, deviations, "epsilon", below=float("inf"))


def regularised(circuit: Circuit, source: str, zone: float | Sequence[float], variation: float) -> Circuit:
    """A circuit with zoneout of its states and variational dropout, by numbers instead of names.

    Args:
        circuit: the circuit.
        source: the input that is masked.
        zone: the zoneout of all states that are vectors or matrices, or of each state in their order; 0 for none.
        variation: the share of dropped entries of the input, and of the states that are multiplied by a matrix.

    Raises:
        UsageError: a share is out of range, or there are more or fewer of them than states.
    """
    if isinstance(zone, (int, float)):
        shares = dict.fromkeys((n for n, s in circuit.recurrence.states.items() if s.type.dims), zone)
    elif len(zone) != len(circuit.states):
        raise UsageError(f"zoneout={list(zone)} needs a number for each of {', '.join(circuit.states)}")
    else:
        shares = dict(zip(circuit.states, zone, strict=True))
    if any(not 0 <= share < 1 for share in shares.values()):
        raise UsageError(f"zoneout must be at least 0 and less than 1, got {zone}")
    if variation:
        read = regularise.multiplied(circuit.recurrence)
        inputs = [source] if circuit.recurrence.inputs[source].type.kind == REAL else []
        circuit = variational(circuit, **dict.fromkeys([*inputs, *read], variation))
    shares = {n: share for n, share in shares.items() if share}
    return zoneout(circuit, **shares) if shares else circuit


def _made(
    function: str,
    transform: Callable[[Recurrence, regularise.Shares], Recurrence],
    circuit: Circuit,
    shares: dict[str, float],
    letter: str,
    inputs: bool = True,
    most_dims: int = 2,
    below: float = 1.0,
) -> Circuit:
    if not isinstance(circuit, Circuit):
        raise CircuitError(
            f"{function} takes a circuit (a function decorated with @circuit), got a {type(circuit).__name__}"
        )
    with suppress(CircuitError):  # a state that must be a scalar is refused below
        circuit = circuit.sized(shares)
    recurrence = circuit.recurrence
    known = [*circuit.states, *(n for n in recurrence.series if inputs and n not in recurrence.drawn)]
    if not shares:
        raise CircuitError(
            f"{function} needs at least one value to act on, such as {function}(circuit, {known[0]}=0.1)"
        )
    taken = {*recurrence.leaves, *recurrence.returns, *recurrence.labels.values()}
    for n, share in shares.items():
        if n not in known:
            hint = did_you_mean(n, known) or f". Choose from: {', '.join(known)}"
            raise CircuitError(f"{function} cannot act on '{n}' of circuit '{circuit.name}'{hint}")
        if not isinstance(share, (int, float)) or isinstance(share, bool) or not 0 < share < below:
            limit = f" and below {below:g}" if below == 1 else ""
            raise CircuitError(f"{function} of '{n}' must be a number above 0{limit}, got {share!r}")
        kind = recurrence.leaves[n].type
        if kind.kind != REAL or not 1 <= len(kind.dims) <= most_dims:
            kinds = "a vector" if most_dims == 1 else "a vector or a matrix"
            raise CircuitError(f"{function} acts on {kinds}, but '{n}' of circuit '{circuit.name}' is a {kind}")
        if of_data(recurrence) & {name for size in kind.dims for name in size.names}:
            raise CircuitError(f"{function} cannot act on '{n}', whose size is known only in a call")
        if f"{letter}_{n}" in taken:
            raise CircuitError(
                f"{function} of '{n}' adds an input '{letter}_{n}', but circuit '{circuit.name}' has that name already"
            )
    return Circuit.stored(transform(recurrence, shares), circuit.init, circuit.__doc__)
