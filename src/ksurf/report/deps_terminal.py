"""What programs need of the kernel, for a terminal: each thing once, and what guards its places."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import click

from ksurf.check.consumer import STDIN, Unreadable
from ksurf.check.dependency import Consumer, Dependency, Use
from ksurf.report.check_layout import plain, source, title

__all__ = ["deps_text"]

_WIDTH = 110
_NAME_WIDTH = 60
_PLACES = 3


def deps_text(consumers: Sequence[Consumer], skipped: int, unreadable: Sequence[Unreadable]) -> str:
    """The dependencies of some programs."""
    width = max(shutil.get_terminal_size((_WIDTH, 24)).columns, 40)
    return "\n".join(_document(consumers, skipped, unreadable, width)) + "\n"


def _document(
    consumers: Sequence[Consumer], skipped: int, unreadable: Sequence[Unreadable], width: int
) -> Iterator[str]:
    for number, consumer in enumerate(consumers):
        if number:
            yield ""
        yield from _consumer(consumer, width)
    if skipped or unreadable:
        yield ""
    if skipped:
        yield click.style(f"{skipped} other file{'s' if skipped != 1 else ''} skipped", dim=True)
    for one in unreadable:
        yield f"{click.style('!', fg='red')} not read: {plain(f'{one.path}: {one.reason}')}"


def _consumer(consumer: Consumer, width: int) -> Iterator[str]:
    where = consumer.path if consumer.member is None else f"{consumer.path}: {consumer.member}"
    yield f"{click.style(plain(consumer.name), bold=True)}  {consumer.kind.value}, {plain(where)}"
    for reason in consumer.incomplete:
        yield f"  {click.style('!', fg='yellow')} not read: {plain(reason)}"
    if not consumer.dependencies:
        yield click.style("  it needs nothing of the kernel that ksurf knows", dim=True)
    titles = [title(one) for one in consumer.dependencies]
    room = min(max(map(len, titles), default=0), _NAME_WIDTH)
    for name, one in zip(titles, consumer.dependencies, strict=True):
        about = _about(one, consumer)
        line = f"  {name.ljust(room)}  {about}".rstrip()
        # What does not fit goes below, where it has the line for itself.
        if about and len(line) > width:
            yield f"  {name}"
            yield click.style(f"      {about}", dim=True)
        else:
            yield f"  {name.ljust(room)}  {click.style(about, dim=True)}" if about else f"  {name}"


def _about(dependency: Dependency, consumer: Consumer) -> str:
    told = dict.fromkeys(_place(use, consumer) for use in dependency.uses)
    places = [place for place in told if place]
    more = f" and {len(places) - _PLACES} more" if len(places) > _PLACES else ""
    parts = [", ".join(places[:_PLACES]) + more]
    guards = list(dict.fromkeys(use.guard.text for use in dependency.uses if use.guard is not None))
    if guards:
        every = all(use.guard is not None for use in dependency.uses)
        parts.append(f"{'guarded' if every else 'in part guarded'} by {'; '.join(guards)}")
    if dependency.expected is not None:
        parts.append(f"as {dependency.expected}")
    return plain("; ".join(part for part in parts if part))


def _place(use: Use, consumer: Consumer) -> str:
    """A line of a file, or, where that is not told, a program; empty if neither is."""
    if use.line is None:
        return use.program or ""
    file = source(use, consumer)
    return f"line {use.line}" if file in (None, STDIN) else f"{PurePosixPath(file or '').name}:{use.line}"
