"""The folder of a search: a plain name inside the working folder, and one writer at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_tune.cli.folders import default_folder, only_writer
from nas_tune.errors import StudyError


@given(st.text())
def test_whatever_a_study_is_called_its_folder_is_a_plain_name_in_nas_tune(name: str) -> None:
    folder = default_folder(name)

    assert folder.parent == Path("nas-tune")
    assert folder.name not in ("", ".", "..")
    assert os.path.normpath(folder) == str(folder)


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
