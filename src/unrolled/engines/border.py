"""The border to the engines: which tensors an engine can read, and when torch must see every operation instead.

An engine reads memory by address and writes in place. That is right for an ordinary tensor: dense, strided, with memory
of its own, of torch's own class. It is wrong for a tensor that only stands for another one (a FakeTensor, a DTensor, a
tensor inside ``torch.func.vmap``), and wherever torch traces or transforms operations.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, Protocol, TypeVar, cast

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor, nn
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import _disable_current_modes

from ..errors import EngineError, InputError

P = ParamSpec("P")
R = TypeVar("R")
C: Any = torch._C
FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
OWN = (Tensor, nn.Parameter)

ODD = ~functools.reduce(  # of torch's dispatch keys, those that no dense, strided tensor with memory of its own has
    operator.or_,
    (
        C.DispatchKeySet(getattr(C.DispatchKey, name)).raw_repr()
        for name in dir(C.DispatchKey)
        if name in ("Dense", "ADInplaceOrView") or re.fullmatch("Auto(grad|cast)(?!Nested)[A-Z].*", name)
    ),
)


def traced() -> bool:
    """Whether torch traces or replaces operations now: ``torch.jit.trace``, ``make_fx``, the export to ONNX,
    ``FakeTensorMode`` and other modes, ``torch.func.functionalize``."""
    return bool(
        C._get_tracing_state() is not None
        or C._len_torch_dispatch_stack()
        or (C._len_torch_function_stack() and _replaced())
        or (C._are_functorch_transforms_active() and _functionalized())
    )


def transformed() -> bool:
    """Whether torch differentiates or batches what runs now: ``torch.func``, forward-mode differentiation."""
    return bool(C._are_functorch_transforms_active() or forward_ad._current_level >= 0)


def watched() -> bool:
    """Whether torch traces, replaces or transforms operations now."""
    return traced() or transformed()


def _functionalized() -> bool:
    kinds = [interpreter.key() for interpreter in C._functorch.get_interpreter_stack() or ()]
    return C._functorch.TransformType.Functionalize in kinds


def unwrapped(tensor: Tensor) -> Tensor:
    """The tensor that a transform of ``torch.func`` has wrapped."""
    while C._functorch.is_functorch_wrapped_tensor(tensor):
        tensor = C._functorch.get_unwrapped(tensor)
    return tensor


def recorded() -> bool:
    """Whether torch records operations to run them again on other tensors: ``torch.jit.trace``, ``make_fx``."""
    return C._get_tracing_state() is not None or C._get_dispatch_mode(C._TorchDispatchModeKey.PROXY) is not None


def _replaced() -> bool:
    """Whether functions are replaced by a mode. ``torch.set_default_device`` is one too, and does no harm."""
    return any(not isinstance(mode, DeviceContext) for mode in _get_current_function_mode_stack())


@contextmanager
def unwatched() -> Iterator[None]:
    """Operations run as if nothing watched them. They make ordinary tensors, on the CPU where no device is named."""
    tracing = C._get_tracing_state()
    if tracing is not None:
        C._set_tracing_state(None)
    try:
        with (
            temporarily_clear_interpreter_stack(),
            _disable_current_modes(),
            C.DisableTorchFunction(),
            torch.inference_mode(False),
            torch.no_grad(),
        ):
            yield
    finally:
        if tracing is not None:
            C._set_tracing_state(tracing)


def constants(make: Callable[P, R]) -> Callable[P, R]:
    """Remember the tensors that a function makes, which follow from its arguments alone. They are ordinary wherever the
    first call came from."""

    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> R:
        with unwatched():
            return make(*args, **kwargs)

    remembered: Any = functools.lru_cache(maxsize=32)(made)
    return cast(Callable[P, R], remembered)


def ordinary(tensor: Tensor) -> bool:
    """Whether an engine can read the memory of a tensor."""
    return type(tensor) in OWN and not C._dispatch_keys(tensor).raw_repr() & ODD


def as_given(tensor: Tensor) -> bool:
    """Whether an engine reads a tensor as it was given, and not a copy (see ``readable``)."""
    return ordinary(tensor) and not (tensor.is_inference() and torch.is_grad_enabled())


class Guards(Protocol):
    def check(self, *tensors: object) -> bool:
        """Whether these are as those were: class, dtype, device, layout, negative bit, shape."""
        ...


def guards(tensors: Sequence[Tensor]) -> Guards:
    """What tells in less than a microsecond whether other tensors are of the same kinds: what ``torch.compile`` asks
    before it runs compiled code again."""
    sizes: list[Any] = [list(t.shape) for t in tensors]
    strides: list[Any] = [[None] * t.ndim for t in tensors]  # any
    made: Guards = C._dynamo.guards.TensorGuards(*tensors, dynamic_dims_sizes=sizes, dynamic_dims_strides=strides)
    return made


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """The shape in plain numbers; while torch traces, ``tensor.shape`` may hold tensors or symbols."""
    if not recorded():
        return tuple(tensor.shape)
    tracing = C._get_tracing_state()
    C._set_tracing_state(None)
    try:
        return tuple(map(int, tensor.shape))
    finally:
        C._set_tracing_state(tracing)


def readable(what: str, tensor: Tensor) -> Tensor:
    """The same values as an ordinary tensor, if need be and if there is a way; what only stands for other tensors stays
    as it is.

    Raises:
        InputError: a tensor that is not dense.
    """
    if ordinary(tensor) and not tensor.is_inference():
        return tensor
    if nn.parameter.is_lazy(tensor):
        raise InputError(f"{what} is not initialised yet: it has no shape. Run the module that makes it first")
    if tensor.is_nested:
        raise InputError(f"{what} is a nested tensor. Convert it: unrolled.Ragged.from_nested(x)")
    if tensor.layout is not torch.strided:
        layout = str(tensor.layout).removeprefix("torch.").lstrip("_")
        raise InputError(f"{what} must be a dense tensor, got the layout {layout}. Convert it: x.to_dense()")
    if tensor.is_quantized:
        raise InputError(f"{what} is quantized. Convert it: x.dequantize()")
    if type(tensor) not in (Tensor, nn.Parameter) and _only_a_name(type(tensor)):
        tensor = tensor.as_subclass(Tensor)
    if tensor.is_neg():
        tensor = tensor.resolve_neg()
    if tensor.is_inference() and torch.is_grad_enabled():
        if tensor.requires_grad:
            raise InputError(
                f"{what} was made in inference mode, so that it can have no gradient. "
                "Make it outside of torch.inference_mode(), or call the network under torch.no_grad()"
            )
        tensor = tensor.clone()  # torch saves no inference tensor for the backward pass
    return tensor


def _only_a_name(kind: type[Tensor]) -> bool:
    """Whether a subclass of Tensor changes nothing: it has memory of its own and torch's functions."""
    own = getattr(kind.__torch_function__, "__func__", None)
    return kind.__torch_dispatch__ is Tensor.__torch_dispatch__ and own is Tensor.__torch_function__.__func__  # type: ignore[attr-defined]


def readable_gradient(name: str, gradient: Tensor) -> Tensor:
    """What comes into the backward pass, as an ordinary tensor.

    Raises:
        EngineError: a gradient that stands for other tensors, such as a batch of gradients.
    """
    if ordinary(gradient):
        return gradient
    if gradient.layout is not torch.strided:
        gradient = gradient.to_dense()
    if gradient._is_zerotensor():
        gradient = torch.zeros(gradient.shape, dtype=gradient.dtype, device=gradient.device)
    if type(gradient) is not Tensor and _only_a_name(type(gradient)):
        gradient = gradient.as_subclass(Tensor)
    gradient = gradient.resolve_neg()
    if not ordinary(gradient):
        raise EngineError(
            f"the gradient of '{name}' is a batch of gradients or a subclass of Tensor, but the backward pass of a "
            "recurrent network takes one ordinary gradient at a time. Leave out is_grads_batched=True "
            "(vectorize=True), or use torch.func.vmap"
        )
    return gradient
