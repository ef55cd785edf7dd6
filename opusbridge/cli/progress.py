"""A progress bar for what takes long: for a person at a terminal, and nobody else."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")


def progress(things: Sequence[T], console: Console, name: Callable[[T], str]) -> Iterator[T]:
    """The things one after the other, each named while it is being done."""
    if not console.is_terminal:
        for thing in things:
            console.print(escape(f"{name(thing)} …"))
            yield thing
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[now]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=len(things), now="")
        for thing in things:
            bar.update(task, now=escape(name(thing)))
            yield thing
            bar.advance(task)
