from __future__ import annotations

import pickle

import pytest

from nas_tune.cluster.answers import answer, opened
from nas_tune.errors import DivergedError, NasTuneError


def _diverges() -> float:
    raise DivergedError("The loss is nan.")


def _breaks() -> float:
    raise KeyError("weight")


def test_a_result_arrives_as_it_is() -> None:
    assert opened(answer(lambda: 1.5)) == 1.5


def test_our_errors_keep_their_type_and_message_on_the_way() -> None:
    arrived = pickle.loads(pickle.dumps(answer(_diverges)))

    with pytest.raises(DivergedError, match="The loss is nan."):
        opened(arrived)


def test_a_foreign_error_is_told_in_one_line_with_its_place() -> None:
    with pytest.raises(NasTuneError, match=r"KeyError: 'weight' \(in _breaks, .*test_answers.py:\d+;") as caught:
        opened(answer(_breaks))
    assert "\n" not in str(caught.value)
