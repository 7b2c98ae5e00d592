"""The folder of a search: a plain name inside the working folder, and one writer at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_tune.cli.folders import check_outputs, default_folder, only_writer
from nas_tune.errors import StudyError


@given(st.text(min_size=1))
def test_whatever_a_study_is_called_its_folder_is_a_plain_name_beside_the_storage(name: str) -> None:
    folder = default_folder("sqlite:///some/nas.db", name)

    assert folder.parent == Path("some/nas.runs")
    assert folder.name not in ("", ".", "..")
    assert os.path.normpath(folder) == str(folder)


def test_studies_and_storages_do_not_share_a_folder() -> None:
    storages = ("sqlite:///a.db", "sqlite:///b.db", "journal.log", "mysql://host/one", "mysql://host/two")
    folders = {default_folder(storage, name) for storage in storages for name in ("a/b", "a_b", "a b")}

    assert len(folders) == 15


def test_outputs_that_cannot_be_written_are_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StudyError, match="is a folder: name a file in it"):
        check_outputs(tmp_path, tmp_path / "runs")
    with pytest.raises(StudyError, match="cannot be made"):
        check_outputs(tmp_path / "report.html", tmp_path / "file")


def test_a_second_writer_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with only_writer(tmp_path / "a"), pytest.raises(StudyError, match="give this one another --folder"):
        with only_writer(tmp_path / "a"):
            pass

    with only_writer(tmp_path / "a"), only_writer(tmp_path / "b"):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StudyError, match="cannot be written"), only_writer(tmp_path / "file" / "folder"):
        pass
