"""Architectures: frozen mappings that JSON and notebooks can show."""

from __future__ import annotations

import json

import pytest

from nas_tune.errors import ArchitectureError, NasTuneError
from nas_tune.space import Architecture, Categorical, Integer, Repeat, SearchSpace, Switch

SPACE = SearchSpace(
    {
        "cell": SearchSpace({"op": Switch({"conv": SearchSpace({"k": Categorical(3, 5)}), "skip": SearchSpace({})})}),
        "cell2": Integer(1, 3),
        "deep": Repeat(Integer(0, 9), 1, 2),
    }
)
VALUES = {"cell.op": "conv", "cell.op.conv.k": 5, "cell2": 2, "deep.length": 1, "deep.0": 7}


def test_an_architecture_is_a_frozen_mapping_in_the_order_of_the_space() -> None:
    architecture = SPACE.architecture(dict(reversed(VALUES.items())))

    assert dict(architecture) == VALUES
    assert list(architecture) == list(VALUES)
    assert architecture.get("deep.1") is None
    assert len({architecture, SPACE.architecture(VALUES)}) == 1
    with pytest.raises(TypeError):
        architecture["cell2"] = 3  # type: ignore[index]


def test_a_part_has_names_of_its_own() -> None:
    architecture = SPACE.architecture(VALUES)

    assert dict(architecture.part("cell")) == {"op": "conv", "op.conv.k": 5}
    assert dict(architecture.part("deep")) == {"length": 1, "0": 7}
    assert dict(architecture.part("cell.op.conv")) == {"k": 5}
    with pytest.raises(
        ArchitectureError, match="Nothing lies under `stem`: the architecture has cell.op, cell.op.conv.k"
    ):
        architecture.part("stem")


def test_the_json_text_has_a_format_and_a_version() -> None:
    assert json.loads(SPACE.architecture(VALUES).to_json()) == {
        "format": "nas_tune.architecture",
        "version": 1,
        "values": VALUES,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "The architecture is not JSON .*Write it with `to_json`"),
        ("[]", 'The JSON is no architecture: it has no "format": "nas_tune.architecture" with "values"'),
        ('{"format": "torch", "values": {}}', "The JSON is no architecture"),
        ('{"format": "nas_tune.architecture", "version": 1}', "The JSON is no architecture"),
        ('{"format": "nas_tune.architecture", "version": 1, "values": [1]}', "The JSON is no architecture"),
        (
            '{"format": "nas_tune.architecture", "version": 9, "values": {}}',
            "The architecture is of version 9, this nas_tune reads 1: upgrade",
        ),
        ('{"format": "nas_tune.architecture", "version": 1, "values": {}}', "no value for `cell.op`"),
    ],
)
def test_other_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message) as error:
        SPACE.from_json(text)

    assert isinstance(error.value, NasTuneError) and isinstance(error.value, ValueError)


def test_a_notebook_shows_a_table_and_escapes_it() -> None:
    shown = Architecture({"<b>.x&y": "<script>", 'quo"te': 0.123456, "none": None})._repr_html_()

    assert "<script>" not in shown and "<b>" not in shown
    assert "&lt;script&gt;" in shown and 'title="&lt;b&gt;.x&amp;y"' in shown and "quo&quot;te" in shown
    assert ">0.1235<" in shown and ">None<" in shown
    assert shown.count("<tr>") == 4 and shown.startswith("<table>") and shown.endswith("</table>")


def test_the_repr_names_every_value() -> None:
    assert repr(Architecture({"op": "conv", "k": 3})) == "Architecture(op='conv', k=3)"
