"""How engines run a plan, in words. Engines rank above plans, so the front door enters their functions here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OF_ENGINES: dict[str, Callable[[Any], str]] = {}  # by the name of an engine: from a plan to text
