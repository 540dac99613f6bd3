"""Imports a module at its first use."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any


class LazyModule:
    """Stands for the module `name`; its names are its attributes.

    `loaded` tells without loading it.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


def loaded(name: str) -> bool:
    """Return whether the module is there whole: one that another thread is importing is not."""
    module = sys.modules.get(name)
    return module is not None and not getattr(module.__spec__, "_initializing", False)


async def load(name: str) -> None:
    """Import it in a thread: the loop goes on meanwhile."""
    await asyncio.to_thread(import_module, name)
