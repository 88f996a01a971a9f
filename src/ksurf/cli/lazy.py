"""Commands by module name, loaded alone: the start of the process is part of every query's time."""

from importlib import import_module
from typing import Any

import click

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """The commands of a package: one module each, whose object ``command`` it is.

    A command ``struct-growth`` is the module ``struct_growth``.
    """

    def __init__(self, *arguments: Any, package: str, modules: tuple[str, ...], **others: Any) -> None:
        """Name the package and, in the order of their use, its modules that are commands."""
        super().__init__(*arguments, **others)
        self._package = package
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands' names, in that order."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        if cmd_name not in self._modules:
            return None
        command: click.Command = import_module(f"{self._package}.{cmd_name.replace('-', '_')}").command
        return command
