"""What a reading holds, seen past the gate: tests say what a source published, whole."""

from __future__ import annotations

from typing import Any, TypeVar

from cockpit.model.reading import Fault, Reading

T = TypeVar("T")

INSIDE = "_Reading__"  # no other code gets there


def kept(reading: Reading[Any]) -> Any:
    """Return its data, believed or not."""
    return getattr(reading, f"{INSIDE}data")


def fault_in(reading: Reading[Any]) -> Any:
    """Return its fault, or None."""
    return getattr(reading, f"{INSIDE}fault")


def seen_at(reading: Reading[Any]) -> Any:
    """Return when its data was true, in monotonic seconds, or None."""
    return getattr(reading, f"{INSIDE}observed_at")


def server_time_of(reading: Reading[Any]) -> Any:
    """Return the source's own clock, in unix seconds, or None."""
    return getattr(reading, f"{INSIDE}server_time")


def as_of(reading: Reading[T], observed_at: float) -> Reading[T]:
    """Return the same, known to be true at another time."""
    data: T | None = kept(reading)
    return Reading(reading.topic, data, observed_at, fault=fault_in(reading), max_age_s=reading.max_age_s)


def data_of(reading: Reading[T] | None) -> T:
    """Return the data of a reading that must have some."""
    assert reading is not None and kept(reading) is not None, reading
    data: T = kept(reading)
    return data


def fault_of(reading: Reading[T] | None) -> Fault:
    """Return the fault of a reading that must have one."""
    assert reading is not None
    fault: Fault | None = fault_in(reading)
    assert fault is not None, reading
    return fault
