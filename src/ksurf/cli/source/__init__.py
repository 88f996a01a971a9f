"""``ksurf source``: trees of source, and what is in them; one file per sub-command, loaded alone."""

import click

from ksurf.cli.lazy import LazyGroup

__all__ = ["command"]

COMMANDS = (
    *("pull", "add", "list", "prepare", "index", "sweep", "rm"),
    *("show", "diff", "def", "refs", "callers", "callees", "search"),
)
"""In the order of their use; each is the object ``command`` of the module of its name."""

_EXAMPLES = """\b
Examples:
  ksurf source pull debian:7.3-cloud-arm64       fetch source, index it, prepare this kernel
  ksurf source add linux-7.3.tar.xz              take a tree of your own
  ksurf source prepare debian:7.3 7.3-amd64      prepare another kernel of it
  ksurf source sweep arch/arm64/kvm              read all units of a subsystem ahead
  ksurf source list                              what there is
  ksurf source show mm/slub.c                    a file, as a kernel compiled it
  ksurf source diff mm/slub.c 6.12 7.3           what differs in it
  ksurf source def kvm_vcpu_kick                 where a name is defined
  ksurf source refs kvm_vcpu_kick                where it is mentioned
  ksurf source callers kvm_vcpu_kick             who calls it, as kernels were built
  ksurf source callees vgic_v4_init              whom it calls
  ksurf source search 'guard\\(mutex\\)'         lines that match a pattern
"""


@click.group(cls=LazyGroup, package=__name__, modules=COMMANDS, epilog=_EXAMPLES)
def command() -> None:
    """Show the kernel's code as it was really compiled.

    A tree of source is fetched or added once, and serves all kernels that were made of it.
    """
