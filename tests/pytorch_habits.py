"""What users do with ``torch.nn.LSTM``, each as a function of the class: tried on torch's and on ours."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jvp, vmap
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

Habit = Callable[[Any], Any]
HABITS: dict[str, tuple[str, Habit]] = {}  # by its words: the group, and what is done

X = torch.linspace(-1, 1, 5 * 2 * 3, dtype=torch.float64).view(5, 2, 3)


def layer(LSTM: Any, *sizes: int, **options: Any) -> Any:
    """A layer with the same weights, whoever makes it."""
    torch.manual_seed(0)
    return LSTM(*(sizes or (3, 4)), dtype=torch.float64, **options)


def output(m: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda x: m(x)[0]


def summed(m: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda x: m(x)[0].sum()


def habit(group: str, words: str) -> Callable[[Habit], Habit]:
    def keep(f: Habit) -> Habit:
        HABITS[words] = group, f
        return f

    return keep


def one_line(group: str, words: str, f: Habit) -> None:
    HABITS[words] = group, f


def gradients(m: nn.Module, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(m.parameters())))


MAKE, CALL, WEIGHTS, TRAIN, KEEP, TRANSFORM = "Make", "Call", "Weights", "Train", "Keep and move", "Transform"
COMPILE = "Compile and export"

one_line(MAKE, "`LSTM(3, 4)`, the starting values", lambda L: list(layer(L).parameters()))
one_line(MAKE, "`num_layers=2, bidirectional=True`", lambda L: layer(L, num_layers=2, bidirectional=True)(X)[0])
one_line(MAKE, "`proj_size=2`", lambda L: layer(L, proj_size=2)(X)[0])
one_line(MAKE, "`bias=False`", lambda L: layer(L, bias=False)(X)[0])
one_line(MAKE, "positional arguments", lambda L: repr(L(3, 4, 2, False, True, 0.1, True)))
one_line(MAKE, "`print(layer)`", lambda L: repr(layer(L, num_layers=2, batch_first=True)))
one_line(MAKE, "`dropout=2`", lambda L: layer(L, dropout=2))
one_line(
    MAKE,
    "`device='meta'`, then `to_empty`",
    lambda L: layer(L, device="meta").to_empty(device="cpu").weight_ih_l0.shape,
)
one_line(
    MAKE, "`isinstance(layer, nn.LSTM)`", lambda L: isinstance(layer(L), nn.LSTM) and isinstance(layer(L), nn.RNNBase)
)
one_line(MAKE, "inside `nn.Sequential`", lambda L: nn.Sequential(layer(L))(X)[0])

one_line(CALL, "time first", lambda L: layer(L)(X)[0])
one_line(CALL, "`batch_first=True`", lambda L: layer(L, batch_first=True)(X)[0])
one_line(CALL, "one sequence without a batch", lambda L: layer(L)(X[:, 0])[0])
one_line(
    CALL,
    "`output.view(time, batch, directions, hidden)`",
    lambda L: layer(L, bidirectional=True)(X)[0].view(5, 2, 2, 4),
)
one_line(CALL, "`hx=(h, c)`", lambda L: layer(L)(X, (torch.ones(1, 2, 4).double(), torch.zeros(1, 2, 4).double()))[0])
one_line(CALL, "`hx=[h, c]`", lambda L: layer(L)(X, [torch.ones(1, 2, 4).double()] * 2)[0])
one_line(CALL, "the state of one call starts the next", lambda L: (m := layer(L))(X, m(X)[1])[0])
one_line(CALL, "a state without its layers' dimension", lambda L: layer(L)(X, (torch.ones(2, 4).double(),) * 2))
one_line(CALL, "`pack_padded_sequence`, sorted", lambda L: layer(L)(pack_padded_sequence(X, [5, 3]))[0].data)
one_line(
    CALL,
    "`pack_sequence(enforce_sorted=False)`",
    lambda L: pad_packed_sequence(layer(L)(pack_sequence([X[:2, 0], X[:4, 1]], enforce_sorted=False))[0])[0],
)
one_line(CALL, "an input of another size", lambda L: layer(L)(X[..., :2]))
one_line(CALL, "an input of another dtype", lambda L: layer(L)(X.float()))
one_line(CALL, "no steps", lambda L: layer(L)(X[:0]))
one_line(CALL, "no sequences", lambda L: layer(L)(X[:, :0])[0])
one_line(CALL, "an input that is not contiguous", lambda L: layer(L)(X.flip(0)[::2])[0])
one_line(CALL, "`with torch.no_grad()`", lambda L: torch.no_grad()(lambda: layer(L)(X)[0])())
one_line(CALL, "`with torch.inference_mode()`", lambda L: torch.inference_mode()(lambda: layer(L)(X)[0])())
one_line(
    CALL,
    "`with torch.autocast('cpu')`",
    lambda L: torch.autocast("cpu")(lambda: layer(L).float()(X.float())[0].float())(),
)
one_line(CALL, "`.bfloat16()`", lambda L: layer(L).bfloat16()(X.bfloat16())[0].float())


@habit(CALL, "forward hooks")
def forward_hooks(L: Any) -> Any:
    m, seen = layer(L), []
    m.register_forward_pre_hook(lambda _, given: (given[0] * 2,))
    m.register_forward_hook(lambda *given: seen.append(len(given)))
    return [m(X)[0], seen]


one_line(
    WEIGHTS,
    "`named_parameters()`",
    lambda L: [n for n, _ in layer(L, num_layers=2, bidirectional=True).named_parameters()],
)
one_line(WEIGHTS, "`all_weights`", lambda L: [w for group in layer(L).all_weights for w in group])
one_line(WEIGHTS, "`flatten_parameters()`", lambda L: layer(L).flatten_parameters())
one_line(
    WEIGHTS, "`reset_parameters()`", lambda L: (torch.manual_seed(3), (m := layer(L)).reset_parameters(), m(X)[0])[2]
)


@habit(WEIGHTS, "`init.orthogonal_(layer.weight_hh_l0)`, a bias of 1 for the forget gate")
def started_by_hand(L: Any) -> Any:
    m = layer(L)
    with torch.no_grad():
        nn.init.orthogonal_(m.weight_hh_l0)
        m.bias_ih_l0[4:8] = 1
    return m(X)[0]


@habit(WEIGHTS, "a loop over modules that asks `isinstance(m, nn.LSTM)`")
def asked_by_class(L: Any) -> Any:
    model = nn.Sequential(layer(L))
    for m in model.modules():
        if isinstance(m, nn.LSTM):
            for p in m.parameters():
                nn.init.constant_(p, 0.1)
    return model(X)[0]


def changed(change: Callable[[Any], Any]) -> Habit:
    def run(L: Any) -> Any:
        m = layer(L)
        change(m)
        return m.eval()(X)[0]

    return run


one_line(
    WEIGHTS,
    "`layer.weight_hh_l0 = nn.Parameter(...)`",
    changed(lambda m: setattr(m, "weight_hh_l0", nn.Parameter(m.weight_hh_l0.detach() * 2))),
)
one_line(WEIGHTS, "`layer.weight_hh_l0.data.mul_(2)`", changed(lambda m: m.weight_hh_l0.data.mul_(2)))
one_line(WEIGHTS, "`requires_grad_(False)`", changed(lambda m: m.requires_grad_(False)))
one_line(WEIGHTS, "`parametrizations.weight_norm`", changed(lambda m: parametrizations.weight_norm(m, "weight_hh_l0")))
one_line(
    WEIGHTS, "`parametrizations.spectral_norm`", changed(lambda m: parametrizations.spectral_norm(m, "weight_hh_l0"))
)
one_line(WEIGHTS, "`parametrizations.orthogonal`", changed(lambda m: parametrizations.orthogonal(m, "weight_hh_l0")))
one_line(
    WEIGHTS,
    "`register_parametrization`",
    changed(lambda m: parametrize.register_parametrization(m, "bias_hh_l0", nn.Tanh())),
)
one_line(WEIGHTS, "`prune.l1_unstructured`", changed(lambda m: prune.l1_unstructured(m, "weight_ih_l0", 0.5)))
one_line(
    WEIGHTS,
    "`functional_call` with other weights",
    lambda L: functional_call(m := layer(L), {n: p * 2 for n, p in m.named_parameters()}, (X,))[0],
)


@habit(TRAIN, "`backward()`, all gradients")
def all_gradients(L: Any) -> Any:
    m, x = layer(L, num_layers=2), X.clone().requires_grad_()
    output, (h, c) = m(x)
    (output.square().sum() + h.sum() + c.sum()).backward()
    return [x.grad, *[p.grad for p in m.parameters()]]


def trained(make: Callable[[nn.Module], torch.optim.Optimizer]) -> Habit:
    def run(L: Any) -> Any:
        m = layer(L)
        optimizer = make(m)
        for _ in range(3):
            optimizer.zero_grad()
            m(X)[0].square().mean().backward()
            nn.utils.clip_grad_norm_(m.parameters(), 1.0)
            optimizer.step()
        return m(X)[0]

    return run


one_line(TRAIN, "`optim.Adam`, clipped gradients", trained(lambda m: torch.optim.Adam(m.parameters(), 0.1)))
one_line(TRAIN, "`optim.SGD(foreach=True)`", trained(lambda m: torch.optim.SGD(m.parameters(), 0.1, foreach=True)))
one_line(
    TRAIN,
    "dropout between layers, from the same seed",
    lambda L: (m := layer(L, num_layers=2, dropout=0.5), torch.manual_seed(5), m(X)[0])[2],
)
one_line(TRAIN, "`eval()`", lambda L: layer(L, num_layers=2, dropout=0.5).eval()(X)[0])


@habit(TRAIN, "truncated back-propagation with `h.detach()`")
def truncated(L: Any) -> Any:
    m, hx = layer(L), None
    for x in X.split(2):
        output, (h, c) = m(x, hx)
        output.sum().backward()
        hx = h.detach(), c.detach()
    return [p.grad for p in m.parameters()]


one_line(
    TRAIN,
    "`torch.utils.checkpoint`",
    lambda L: gradients(m := layer(L), torch.utils.checkpoint.checkpoint(m, X, use_reentrant=False)[0].sum()),
)
one_line(
    TRAIN,
    "`torch.autograd.gradcheck`",
    lambda L: torch.autograd.gradcheck(output(layer(L)), X[:2].clone().requires_grad_()),
)


@habit(TRAIN, "hooks on gradients")
def hooked_gradients(L: Any) -> Any:
    m = layer(L)
    m.weight_hh_l0.register_hook(lambda g: g * 0)
    m(X)[0].sum().backward()
    return [p.grad for p in m.parameters()]


@habit(TRAIN, "a gradient penalty (`create_graph=True`)")
def gradient_penalty(L: Any) -> Any:
    m, x = layer(L), X.clone().requires_grad_()
    (g,) = torch.autograd.grad(m(x)[0].sum(), x, create_graph=True)
    return gradients(m, g.square().sum() + 0 * m(x)[0].sum())


one_line(KEEP, "`state_dict()`", lambda L: list(layer(L, num_layers=2).state_dict()))
one_line(
    KEEP,
    "`load_state_dict` of torch's layer",
    lambda L: (m := layer(L), m.load_state_dict(nn.LSTM(3, 4).state_dict()))[1],
)
one_line(
    KEEP,
    "`load_state_dict(assign=True)`",
    changed(lambda m: m.load_state_dict({n: p * 2 for n, p in m.state_dict().items()}, assign=True)),
)
one_line(KEEP, "`copy.deepcopy`", lambda L: copy.deepcopy(layer(L))(X)[0])
one_line(KEEP, "`pickle`", lambda L: pickle.loads(pickle.dumps(layer(L)))(X)[0])
one_line(KEEP, "`.float()`, `.double()`, `.to(dtype)`", lambda L: layer(L).float().to(torch.float64)(X)[0])
one_line(KEEP, "`share_memory()`", lambda L: layer(L).share_memory()(X)[0])


@habit(KEEP, "`torch.save(model)` and `torch.load`")
def saved_whole(L: Any) -> Any:
    file = io.BytesIO()
    torch.save(layer(L), file)
    file.seek(0)
    return torch.load(file, weights_only=False)(X)[0]


one_line(TRANSFORM, "`torch.func.grad`", lambda L: grad(summed(layer(L)))(X))
one_line(TRANSFORM, "`torch.func.vmap` over inputs", lambda L: vmap(output(layer(L)))(torch.stack([X, X + 1])))
one_line(
    TRANSFORM,
    "`torch.func.jvp`",
    lambda L: jvp(output(layer(L).float()), (X.float(),), (X.float(),))[1].double(),
)
one_line(
    TRANSFORM,
    "`torch.func.hessian`",
    lambda L: hessian(summed(layer(L).float()))(X[:2].float()).double(),
)
one_line(TRANSFORM, "`torch.jit.trace`", lambda L: torch.jit.trace(layer(L), X)(X + 1)[0])


def compiled(**options: Any) -> Habit:
    def run(L: Any) -> Any:
        torch.compiler.reset()
        m = layer(L, num_layers=2)
        output = torch.compile(m, backend="aot_eager", **options)(X)[0]
        return [output, *gradients(m, output.square().sum())]

    return run


def exported(*, saved: bool = False, **options: Any) -> Habit:
    def run(L: Any) -> Any:
        program = torch.export.export(layer(L), (X,), **options)
        if saved:
            file = io.BytesIO()
            torch.export.save(program, file)
            program = torch.export.load(io.BytesIO(file.getvalue()))
        return program.module()(torch.cat([X, X]) if options else X)[0]

    return run


@habit(COMPILE, "`torch.compile(model, fullgraph=True)` with two lengths, one graph for both")
def two_lengths(L: Any) -> Any:
    torch.compiler.reset()
    m, graphs = layer(L), []

    def count(graph: Any, given: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    run = torch.compile(lambda x: m(x)[0] * 2, fullgraph=True, dynamic=True, backend=count)
    return [run(X), run(X[:3]), len(graphs)]


one_line(COMPILE, "`torch.compile(layer)`", compiled())
one_line(COMPILE, "`torch.compile(layer, fullgraph=True)`", compiled(fullgraph=True))
one_line(COMPILE, "`torch.export.export(layer, (x,))`", exported())
one_line(COMPILE, "the same, saved and loaded", exported(saved=True))
one_line(COMPILE, "`torch.export` with a dynamic time", exported(dynamic_shapes=({0: torch.export.Dim("time")},)))
