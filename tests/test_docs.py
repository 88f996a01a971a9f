"""The documents are complete, and what they name exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ksurf.cli import COMMANDS, group
from ksurf.dataset.schema import TABLES

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def leaves(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that call it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from leaves(below, (*words, name))
    else:
        yield words, command


LEAVES = dict(leaves(group, ()))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def page(words: tuple[str, ...]) -> Path:
    """A command's page; subcommands share that of their command."""
    return ROOT / "docs" / "commands" / f"{words[0]}.md"


def options(command: click.Command) -> set[str]:
    """The long options of a command."""
    return {
        name
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--")
    }


def mentioned(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def shell_lines(text: str) -> Iterator[str]:
    """The commands in a page's shell blocks, prompts and comments taken off."""
    for block in re.findall(r"```(?:sh|console)\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            if line.removeprefix("$ ").startswith(("ksurf ", "make ")):
                yield line.removeprefix("$ ")


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_is_documented_with_every_option(words: tuple[str, ...]) -> None:
    text = page(words).read_text()
    assert f"ksurf {' '.join(words)}" in text
    assert options(LEAVES[words]) <= mentioned(text)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_page_names_no_option_that_is_not_there(name: str) -> None:
    own = {option for words, command in LEAVES.items() if words[0] == name for option in options(command)}
    others = {option for command in LEAVES.values() for option in options(command)}
    text = page((name,)).read_text()
    unknown = mentioned(text) - own - options(group) - {"--help"}
    # Another command's option may be spoken of, but only together with that command.
    assert {option for option in unknown if option not in others} == set()


def test_the_options_of_all_commands_are_documented() -> None:
    assert options(group) <= mentioned((ROOT / "docs" / "commands" / "README.md").read_text())


def test_there_is_no_page_without_a_command() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "commands").glob("*.md")}
    assert pages - {"README"} == set(COMMANDS)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_documented_with_every_column(name: str) -> None:
    text = (ROOT / "docs" / "tables" / f"{name}.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE))
    assert list(rows) == [column.name for column in TABLES[name].columns]
    for column in TABLES[name].columns:
        assert column.type in rows[column.name], column.name


def test_there_is_no_page_without_a_table() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "tables").glob("*.md")}
    assert pages - {"README"} == set(TABLES)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_commands_in_a_page_exist(path: Path) -> None:
    for line in shell_lines(path.read_text()):
        program, *rest = shlex.split(line.split("|")[0].split(">")[0], comments=True)
        if program == "make":
            assert {word for word in rest if "=" not in word} <= TARGETS, line
            continue
        words = tuple(rest[:2]) if tuple(rest[:2]) in LEAVES else tuple(rest[:1])
        assert words in LEAVES, line
        assert {word.split("=")[0] for word in rest if word.startswith("--")} <= options(LEAVES[words]), line


def test_the_readme_has_its_two_commands() -> None:
    lines = list(shell_lines((ROOT / "README.md").read_text()))
    assert [line.split("#")[0].strip() for line in lines[:2]] == ["make demo", "make test"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target
