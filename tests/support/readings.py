"""What a reading must hold for a test to go on."""

from __future__ import annotations

from typing import TypeVar

from cockpit.model.reading import Fault, Reading

T = TypeVar("T")


def data_of(reading: Reading[T] | None) -> T:
    """Return the data of a reading that must have some."""
    assert reading is not None and reading.last_data is not None, reading
    return reading.last_data


def fault_of(reading: Reading[T] | None) -> Fault:
    """Return the fault of a reading that must have one."""
    assert reading is not None and reading.fault is not None, reading
    return reading.fault
