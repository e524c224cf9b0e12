"""What to write instead of the arguments of torch.nn's recurrent layers, for users who give them to ``Recurrent``."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import CircuitError
from ..graph.bind import nameable
from ..graph.recurrence import Recurrence

INSTEAD = {
    "input_size": "Give the sizes of inputs by name: {inputs}",
    "hidden_size": "Give the sizes of states by name: {states}",
    "batch_first": "The layout is always (batch, time, feature): leave it out",
    "num_layers": "Combine networks in unrolled.nn.Stack([[first], [second]]), or use unrolled.nn.LSTM",
    "bidirectional": "Combine networks in unrolled.nn.Stack([[forward, backward]]), or use unrolled.nn.LSTM",
    "dropout": "Use unrolled.nn.Stack(layers, dropout=0.5), or torch.nn.Dropout between networks",
    "bias": "Biases are parameters of the equations: to have none, write a circuit without them",
    "proj_size": "Use a circuit with a projection: Recurrent(unrolled.cells.lstm_projected, x=..., h=..., c=...)",
    "nonlinearity": "It is part of the equations: unrolled.cells.rnn has tanh, unrolled.cells.irnn has relu",
}


def check_no_torch_arguments(recurrence: Recurrence, given: Iterable[str]) -> None:
    """Refuse arguments of torch.nn's layers among the names of sizes, unless the circuit has such a size.

    Raises:
        CircuitError: says what to write instead.
    """
    known = nameable(recurrence)
    for name in given:
        if name in INSTEAD and name not in known:
            groups = {"inputs": recurrence.inputs, "states": recurrence.states}
            sizes = {g: ", ".join(f"{n}=..." for n in names if n in known) for g, names in groups.items()}
            raise CircuitError(f"Recurrent has no argument '{name}'. {INSTEAD[name].format(**sizes)}")
