"""What a command says: progress, lines and tables for people, one JSON document for machines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

Advance: TypeAlias = Callable[[int, str], None]
"""Reports how much is done, and a note such as the loss."""

PLAIN_SECONDS = 10.0  # between two lines of progress where there is no terminal


class Output:
    """Writes for people to standard output; with `as_json`, they read standard error and a machine standard output.

    On a terminal progress is a bar with the time left; elsewhere a plain line every ten seconds.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.console = Console(stderr=as_json, highlight=False, soft_wrap=True)
        self.started = time.monotonic()

    def say(self, text: str, style: str | None = None) -> None:
        """Write one line."""
        self.console.print(text, style=style, markup=False)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table; columns after the first that hold numbers are aligned to the right."""
        table = Table(title=title, title_justify="left", title_style="bold")
        for place, column in enumerate(columns):
            numeric = all(_is_number(row[place]) for row in rows) and bool(rows)
            table.add_column(column, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(value.replace("[", r"\[") for value in row))
        self.console.print(table, soft_wrap=False)

    def result(self, content: object) -> None:
        """Write the JSON document of a command called with `--json`."""
        if self.as_json:
            json.dump(content, sys.stdout, indent=2)
            sys.stdout.write("\n")

    @contextmanager
    def progress(self, title: str, total: int, done: int = 0) -> Iterator[Advance]:
        """Show how far a piece of work is; the value is called with how much is done and a note."""
        if self.console.is_terminal:
            with self._bar() as bar:
                task = bar.add_task(title, total=total, completed=done, note="")
                yield lambda now, note: bar.update(task, completed=now, note=note)
        else:
            yield _Lines(self, title, total)

    def _bar(self) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
        )


class _Lines:
    """Progress as plain lines: at most one every ten seconds, and one at the end."""

    def __init__(self, output: Output, title: str, total: int) -> None:
        self.output, self.title, self.total = output, title, total
        self.started = self.last = time.monotonic()
        self.first: int | None = None

    def __call__(self, done: int, note: str) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first = done
        if done < self.total and now - self.last < PLAIN_SECONDS:
            return
        self.last = now
        gained = done - self.first
        left = (now - self.started) / gained * (self.total - done) if gained > 0 else None
        time_left = f", {left:.0f} s left" if left and done < self.total else ""
        separator = f", {note}" if note else ""
        self.output.say(f"{self.title}: {done}/{self.total}{separator}{time_left}")


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "").rstrip("%sMkG ") or "x")
    except ValueError:
        return text in ("", "-")
    return True
