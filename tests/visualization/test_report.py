"""The report stands alone, is escaped, and says something sensible of any study."""

from __future__ import annotations

import html
import json
import math
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import optuna
import pandas
import pytest
from optuna.trial import TrialState, create_trial

from nas_tune.samplers import LocalSearchSampler, RegularizedEvolutionSampler
from nas_tune.space import Categorical, Float, SearchSpace
from nas_tune.visualization import write_report
from nas_tune.visualization.page import figure

VOID = {"meta", "link", "br", "img", "input"}


class Outline(HTMLParser):
    """Collects the text of a page outside scripts and styles, and checks that elements nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, text: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(text)


def outline(path: Path) -> Outline:
    parsed = Outline()
    parsed.feed(path.read_text(encoding="utf-8"))
    assert not parsed.open
    return parsed


def text_of(path: Path) -> str:
    return " ".join(outline(path).words)


@pytest.fixture
def finals() -> pandas.DataFrame:
    return pandas.DataFrame(
        {
            "role": ["best", "random"],
            "trial": [8, 0],
            "shared_score": [0.91, math.nan],
            "test_accuracy": [0.9731, 0.9012],
            "parameters": [256_000, 4_000],
            "macs": [360_000, 90_000],
            "seconds": [12.3456, 3.2],
            "architecture": ["|<a>~0|", "|b~0|"],
        }
    )


def test_the_report_holds_everything_a_reader_asks_for(
    study: optuna.Study, space: SearchSpace, finals: pandas.DataFrame, tmp_path: Path
) -> None:
    command = "nas-tune search --storage 'sqlite:///a&b.db'"
    path = write_report(study, space, tmp_path / "report.html", finals=finals, kendall_tau=0.3333, command=command)
    text = text_of(path)

    assert study.study_name in text
    assert "12 (10 complete, 2 failed)" in text
    assert f"{study.best_value:#.4g} (trial {study.best_trial.number}; the largest is best)" in text
    assert "Kendall tau between the two: 0.333." in text
    assert "0.9731" in text and "256,000" in text and "|<a>~0|" in text
    assert command in text
    assert "continuous hyperparameters" in text
    for heading in ("Search history", "Value against parameters", "Best architecture", "Best trials"):
        assert heading in text


def test_the_report_counts_the_trials_of_each_sampler(
    study: optuna.Study, objective: Callable[[optuna.Trial], float], space: SearchSpace, tmp_path: Path
) -> None:
    for sampler in (RegularizedEvolutionSampler(space, seed=0), LocalSearchSampler(space, seed=0)):
        study.sampler = sampler
        study.optimize(objective, n_trials=2, catch=(ArithmeticError,))

    text = text_of(write_report(study, space, tmp_path / "report.html"))
    nothing = text_of(write_report(optuna.create_study(), space, tmp_path / "empty.html"))

    assert "RegularizedEvolution (2), LocalSearch (2), others (12)" in text
    assert "Proposed by nobody yet" in nothing


def test_the_best_architecture_is_drawn_and_its_values_listed(
    study: optuna.Study, space: SearchSpace, tmp_path: Path
) -> None:
    path = write_report(study, space, tmp_path / "report.html")
    parsed = outline(path)

    assert 1 == parsed.tags.count("svg")
    assert set(study.best_params) <= set(parsed.words)


def test_the_file_asks_the_network_for_nothing_and_holds_plotly_once(
    study: optuna.Study, space: SearchSpace, tmp_path: Path
) -> None:
    path = write_report(study, space, tmp_path / "report.html")
    source = path.read_text(encoding="utf-8")

    assert [] == outline(path).links
    assert "default-src 'none'" in source
    assert 2 == source.count("<div class='figure'")
    assert 4.0 < path.stat().st_size / 2**20 < 6.0


def test_names_are_text_and_never_markup(space: SearchSpace, tmp_path: Path) -> None:
    hostile = "</title></script><script>alert(1)</script><img src=x>"
    study = optuna.create_study(study_name=hostile)
    study.add_trial(create_trial(value=1.0, user_attrs={"evaluation": hostile, "parameters": 10}))
    path = write_report(study, space, tmp_path / "report.html", command=hostile)
    parsed = outline(path)

    assert "img" not in parsed.tags
    assert f"<h1>{html.escape(hostile)}</h1>" in path.read_text(encoding="utf-8")
    assert "alert(1)" not in re.findall(r"<script>(.*?)</script>", path.read_text(encoding="utf-8"), re.S)


def test_figure_data_cannot_end_its_script(study: optuna.Study) -> None:
    import plotly.graph_objects

    name = "</script><!--<script>"
    source = figure("f", plotly.graph_objects.Figure(layout={"title": {"text": name}}))
    inside = source.partition("json'>")[2].removesuffix("</script>")

    assert "</" not in inside and "<!--" not in inside
    assert name == json.loads(inside)["layout"]["title"]["text"]


def test_an_empty_study_says_so_and_needs_no_plotly(space: SearchSpace, tmp_path: Path) -> None:
    path = write_report(optuna.create_study(), space, tmp_path / "report.html")
    text = text_of(path)

    assert "none yet" in text and "no trial has completed yet" in text
    assert path.stat().st_size < 20_000


def test_a_study_of_failures_counts_them(space: SearchSpace, tmp_path: Path) -> None:
    study = optuna.create_study()
    study.add_trial(create_trial(state=TrialState.FAIL))
    study.add_trial(create_trial(state=TrialState.PRUNED))
    study.ask()
    text = text_of(write_report(study, space, tmp_path / "report.html"))

    assert "3 (" in text
    assert all(words in text for words in ("1 failed", "1 pruned", "1 running", "no trial has completed with a finite"))


def test_several_objectives_give_a_pareto_front(space: SearchSpace, tmp_path: Path) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    architecture = space.architecture({"blocks.length": 1, "blocks.0": "skip_connect", "lr": 0.01})
    kinds = space.distributions(architecture)
    for values in ([0.9, 5.0], [0.8, 6.0], [0.7, 1.0]):
        study.add_trial(create_trial(values=values, params=dict(architecture), distributions=kinds))
    path = write_report(study, space, tmp_path / "report.html")
    text = text_of(path)

    assert "2 trials" in text
    assert "Trial 0, the best in value_0 of the Pareto front" in text
    assert 2 == path.read_text(encoding="utf-8").count("<div class='figure'")


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (SearchSpace({"op": Categorical(*range(1200))}), "1,200"),
        (SearchSpace({"op": Categorical(1, 2)}).where(lambda a: a["op"] == 1, "one"), "at most 2"),
        (SearchSpace({"op": Categorical(1, 2), "lr": Float(0.0, 1.0)}), "2 times continuous hyperparameters"),
    ],
)
def test_the_size_of_the_space_is_told(nodes: SearchSpace, expected: str, tmp_path: Path) -> None:
    words = outline(write_report(optuna.create_study(), nodes, tmp_path / "report.html")).words

    assert expected == words[words.index("Architectures") + 1]


def test_trials_of_another_space_are_reported_without_a_drawing(study: optuna.Study, tmp_path: Path) -> None:
    text = text_of(write_report(study, SearchSpace({"other": Categorical(1, 2)}), tmp_path / "report.html"))

    assert "form no architecture of this space" in text


def test_a_file_is_replaced_whole_and_no_temporary_one_stays(
    study: optuna.Study, space: SearchSpace, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "report.html"
    write_report(optuna.create_study(), space, path)
    first = path.stat().st_ino
    os.chmod(path, 0o400)
    write_report(study, space, path)

    assert first != path.stat().st_ino
    assert ["report.html"] == os.listdir(path.parent)
    assert 0o666 & path.stat().st_mode & 0o444 == 0o444
