"""``ksurf plot``: pictures for slides and pages; one file per sub-command, loaded alone."""

import click

from ksurf.cli.lazy import LazyGroup

__all__ = ["command"]

COMMANDS = ("churn", "availability", "inlining", "struct-growth")
"""In the order of their use; each is the object ``command`` of the module of its name."""

_EXAMPLES = """\b
Examples:
  ksurf plot churn --output churn.svg                            what changes from kernel to kernel
  ksurf plot availability biotop.bpf.o --output biotop.png       what a program needs, and where it is
  ksurf plot inlining --output inlining.svg --dark               what the compiler makes of functions
  ksurf plot struct-growth task_struct kvm --output growth.svg   how structs grow
  ksurf plot churn --format csv                                  the numbers, and where they come from
"""


@click.group(cls=LazyGroup, package=__name__, modules=COMMANDS, epilog=_EXAMPLES)
def command() -> None:
    """Draw what kernels have in common and what not, as SVG or PNG.

    With --format csv or json the numbers of a picture are written, each with a command that tells it.
    """
