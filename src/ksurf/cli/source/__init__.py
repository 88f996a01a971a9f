"""``ksurf source``: trees of source, and what is in them; one file per sub-command, loaded alone."""

import click

from ksurf.cli.lazy import LazyGroup

__all__ = ["command"]

COMMANDS = ("list", "rm")
"""In the order of their use; each is the object ``command`` of the module of its name."""

_EXAMPLES = """\b
Examples:
  ksurf source list                              what there is
  ksurf source rm debian:7.3                     take a tree out of the dataset
"""


@click.group(cls=LazyGroup, package=__name__, modules=COMMANDS, epilog=_EXAMPLES)
def command() -> None:
    """Show the kernel's code as it was really compiled.

    A tree of source is fetched or added once, and serves all kernels that were made of it.
    """
