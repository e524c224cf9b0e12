"""Classes that hold tensors, made known to torch, which otherwise overlooks the tensors in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from torch.serialization import add_safe_globals
from torch.utils._pytree import GetAttrKey, KeyEntry, MappingKey, register_pytree_node

T = TypeVar("T")


def container(kind: type[T], check: Callable[[T], None] = lambda made: None) -> type[T]:
    """Tell torch that a class holds tensors in its annotated attributes and, if it is a dict, in its items.

    ``DistributedDataParallel`` and ``fully_shard`` synchronise the gradients of a module only if they find the tensors
    that it returns. ``torch.func``, ``torch.export`` and ``torch.load`` need to find them, too.

    Args:
        kind: the class.
        check: refuses objects that torch makes from other tensors, such as batches of them.
    """
    made = dataclass(init=False, repr=False, eq=False, match_args=False)(kind)  # DistributedDataParallel reads fields
    names = [field.name for field in fields(made)]  # type: ignore[arg-type]

    def parts(value: Any) -> list[tuple[KeyEntry, Any]]:
        found: list[tuple[KeyEntry, Any]] = [(GetAttrKey(n), getattr(value, n)) for n in names]
        return [(MappingKey("items"), dict(value.items())), *found] if isinstance(value, dict) else found

    def unflatten(found: Iterable[Any], _: None) -> T:
        value, held = made.__new__(made), list(found)
        if isinstance(value, dict):
            dict.update(value, held.pop(0))
        vars(value).update(zip(names, held, strict=True))
        check(value)
        return value

    register_pytree_node(
        made,
        lambda value: ([part for _, part in parts(value)], None),
        unflatten,
        serialized_type_name=f"unrolled.{made.__name__}",
        flatten_with_keys_fn=lambda value: (parts(value), None),
    )
    add_safe_globals([made])  # torch.load reads them without executing code
    return made
