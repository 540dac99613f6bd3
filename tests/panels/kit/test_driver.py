"""A stalled link drops frames and never blocks; a vanished one never spins or hangs."""

from __future__ import annotations

import io
import os
import threading

import pytest

from panels.kit.driver import MAX_WAITING, DroppingWriter


class Stalled(io.StringIO):
    """A terminal that takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.open = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.open.wait(10)
        return super().write(text)


@pytest.fixture
def stalled() -> Stalled:
    return Stalled()


def test_a_stalled_terminal_drops_frames_and_keeps_the_writer_free(stalled: Stalled) -> None:
    writer = DroppingWriter(stalled)
    writer.start()
    writer.write("first")
    assert stalled.reached.wait(5)
    for _ in range(100):
        writer.write("x" * 20_000)
    assert writer.dropped > 0
    assert writer.behind
    stalled.open.set()
    writer.stop()
    assert not writer.behind
    assert len(stalled.getvalue()) <= MAX_WAITING + 20_005


def test_a_single_frame_larger_than_the_bound_is_still_written(stalled: Stalled) -> None:
    stalled.open.set()
    writer = DroppingWriter(stalled)
    writer.start()
    writer.write("y" * (MAX_WAITING + 1))
    writer.stop()
    assert len(stalled.getvalue()) == MAX_WAITING + 1
    assert writer.dropped == 0


def test_order_is_kept(stalled: Stalled) -> None:
    stalled.open.set()
    writer = DroppingWriter(stalled)
    writer.start()
    for n in range(500):
        writer.write(f"{n},")
    writer.stop()
    assert stalled.getvalue() == "".join(f"{n}," for n in range(500))


def test_a_terminal_that_vanished_is_noticed_and_stop_returns() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        writer = DroppingWriter(gone)
        writer.start()
        writer.write("anybody there?")
        writer.stop()
        assert not writer.is_alive()
        assert writer.broken
        writer.write("more")
        assert not writer.behind
        with pytest.raises(BrokenPipeError):
            gone.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)
