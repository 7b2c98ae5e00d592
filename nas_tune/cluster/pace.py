"""How long a training still takes."""

from __future__ import annotations

import time


class Pace:
    """Follows the steps per second, the last slices counting most.

    Args:
        step: Where the training is now.
    """

    def __init__(self, step: int) -> None:
        self._step, self._time = step, time.monotonic()
        self._rate: float | None = None

    def seconds_left(self, step: int, total: int) -> float | None:
        """Return the seconds to `total` at this pace; None until a first advance was seen."""
        now = time.monotonic()
        if step > self._step and now > self._time:
            rate = (step - self._step) / (now - self._time)
            self._rate = rate if self._rate is None else 0.7 * self._rate + 0.3 * rate
        self._step, self._time = step, now
        return None if self._rate is None else max(total - step, 0) / self._rate
