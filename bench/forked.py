"""Measures many cases at once, each in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import TypeVar

Case = TypeVar("Case")
Found = TypeVar("Found")


def everything(
    measure: Callable[[Case], Found], cases: Sequence[Case], jobs: int, shown: Callable[[Found], bool]
) -> list[Found]:
    """Measure all of them; print each as it is known."""
    found = []
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=1) as pool:
        for one in pool.imap_unordered(measure, cases, chunksize=1):
            found.append(one)
            if shown(one):
                print(one, flush=True)
    return found
