from __future__ import annotations

import pytest

from nas_tune.cluster.pace import Pace


def test_the_time_left_is_unknown_before_the_first_advance() -> None:
    assert Pace(10).seconds_left(10, 20) is None


def test_no_time_is_left_at_the_end() -> None:
    assert Pace(10).seconds_left(20, 20) == 0


def test_a_training_that_falls_back_to_a_checkpoint_keeps_its_pace() -> None:
    pace = Pace(0)
    first, fallen = pace.seconds_left(10, 20), pace.seconds_left(5, 20)

    assert first is not None and fallen is not None
    assert fallen == pytest.approx(1.5 * first)
