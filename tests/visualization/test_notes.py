"""Notes are GitHub Markdown, in which nothing a user names is markup."""

from __future__ import annotations

import pytest

from nas_tune.visualization.notes import escape, trial_note


def test_a_note_tells_parts_costs_evaluation_and_seed() -> None:
    note = trial_note(
        {"op": "conv_3x3", "lr": 0.01},
        others={"batch": 32},
        parameters=31200,
        macs=5,
        evaluation="from-scratch",
        seed=0,
    )

    expected = """\
### Trial

| Fact | Value |
| :-- | :-- |
| Parameters | 31,200 |
| MACs | 5 |
| Evaluation | from-scratch |
| Seed | 0 |

### Architecture

| Part | Value |
| :-- | :-- |
| op | conv_3x3 |
| lr | 0.01000 |

### Other parameters

| Name | Value |
| :-- | :-- |
| batch | 32 |
"""
    assert expected == note


def test_what_is_unknown_is_left_out() -> None:
    assert trial_note({"op": "a"}).startswith("### Architecture")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", "a\\|b"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("two\nlines", "two lines"),
        ("_soft_ **hard** `code`", "\\_soft\\_ \\*\\*hard\\*\\* \\`code\\`"),
        ("[a](b)", "\\[a\\](b)"),
        ("nor_conv_3x3", "nor_conv_3x3"),
    ],
)
def test_markup_is_escaped(text: str, expected: str) -> None:
    assert expected == escape(text)
