"""Ctrl-C waits for the end of what must not be left half done."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from nas_tune.cli.interrupts import uninterrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_raised_after_the_work_and_not_within(number: signal.Signals) -> None:
    done = []
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), uninterrupted():
            os.kill(os.getpid(), number)
            done.append("after the signal")
    finally:
        signal.signal(signal.SIGTERM, before)

    assert done == ["after the signal"]


def test_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)

    with uninterrupted():
        assert signal.getsignal(signal.SIGINT) is not before

    assert signal.getsignal(signal.SIGINT) is before


def test_a_thread_that_cannot_have_handlers_works_as_ever() -> None:
    done = []

    def work() -> None:
        with uninterrupted():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert done == [True]
