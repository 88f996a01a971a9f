"""A check that is read back from its JSON is printed as it was."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import Any

import pytest

from ksurf.check.verdict import Outcome
from ksurf.errors import InputError
from ksurf.report.check_json import check_json
from ksurf.report.check_markdown import check_markdown
from ksurf.report.check_read import check_page
from ksurf.report.check_terminal import check_text
from made_check import page
from test_check_formats import with_what_follows


@pytest.mark.parametrize("fail_on", [Outcome.BROKEN, Outcome.PARTIAL])
def test_what_is_read_back_is_printed_as_it_was(fail_on: Outcome) -> None:
    for made in (page(fail_on=fail_on), with_what_follows(page())):
        again = check_page(check_json(made).encode())
        assert check_json(again) == check_json(made)
        for everything in (False, True):
            assert check_markdown(again, everything=everything) == check_markdown(made, everything=everything)
            assert check_text(again, everything=everything) == check_text(made, everything=everything)


def test_a_baseline_that_is_no_column_keeps_its_id() -> None:
    document = json.loads(check_json(page()))
    other = "debian_6.1.0-49-rt-amd64_6.1.174-1_amd64"
    document["baseline"] = document["consumers"][0]["baseline"] = other
    read = check_page(json.dumps(document))
    assert read.groups.baseline.id == other
    assert json.loads(check_json(read)) == document


def damaged(value: Any, random: random.Random) -> Any:
    """The document with something in it that is something else."""
    others: list[Any] = [None, "x", "\ud800", -1, 10**30, [], {}, [value], True]
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        changed = {**value, key: damaged(value[key], random)}
        if random.random() < 0.1:
            del changed[key]
        return changed
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        return [*value[:at], damaged(value[at], random), *value[at + 1 :]]
    return random.choice(others)


@pytest.mark.parametrize("seed", range(10))
def test_what_is_not_whole_is_refused(seed: int) -> None:
    chance = random.Random(seed)
    document = json.loads(check_json(page()))
    for _ in range(100):
        with suppress(InputError):
            check_markdown(check_page(json.dumps(damaged(document, chance))))
    for text in ("", "{", "[]", "null", '{"schema": "ksurf.check", "version": 2}', "[" * 100_000, b"\xff"):
        with pytest.raises(InputError):
            check_page(text)
