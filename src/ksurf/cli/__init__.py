"""The command ``ksurf``: one file per command, loaded when it is called."""

import gc
import os
import sys
from collections.abc import Sequence

import click

from ksurf.cli.lazy import LazyGroup
from ksurf.errors import KsurfError, is_full

__all__ = ["main", "print_error", "run"]

COMMANDS = (
    *("kernels", "pull", "add", "ls", "rm", "search", "show", "diff", "history", "sql"),
    *("check", "deps", "summary", "source", "surface", "plot", "serve", "site"),
)
"""In the order of their use; each is the object ``command`` of the module of its name."""

_EXAMPLES = """\b
Examples:
  ksurf kernels --version 6.12 --flavor cloud    what Debian's archive offers
  ksurf pull debian:6.12-cloud-amd64             fetch the newest of these, and read it
  ksurf add linux-image-6.1.0-50-amd64-dbg.deb   read a package of your own
  ksurf ls                                       what is in the dataset
  ksurf search vcpu_kick                         symbols of all kinds by a part of their name
  ksurf show function kvm_vcpu_kick              what a function is on each kernel
  ksurf diff 6.12 7.3 --kind struct              what differs between two kernels
  ksurf check biotop.bpf.o                       what of a program breaks, where, and what to do
  ksurf surface virt/kvm --changed               what a part of the source depends on outside itself
  ksurf plot churn --output churn.svg            what changes from kernel to kernel, as a picture
  ksurf serve                                    all of it in a browser
"""


class _State:
    debug = False


def _show_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        import ksurf

        click.echo(f"ksurf {ksurf.__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    package="ksurf.cli",
    modules=COMMANDS,
    epilog=_EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--debug", is_flag=True, help="Show where in ksurf an error came from.")
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version.",
)
@click.pass_obj
def group(state: _State, debug: bool) -> None:
    """Show what code outside the kernel can lean on, on the kernels that distributions really ship."""
    state.debug = debug


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit status; whatever goes wrong is one line, and one hint."""
    state = _State()
    try:
        status = group.main(
            args=None if arguments is None else list(arguments),
            prog_name="ksurf",
            standalone_mode=False,
            obj=state,
            # Otherwise click decides, by whether the stream is a terminal.
            color=False if os.environ.get("NO_COLOR") else None,
        )
    except (click.Abort, KeyboardInterrupt):
        print_error("interrupted")
        return 130
    except Exception as error:
        if state.debug:
            raise
        return _explain(error)
    return status if isinstance(status, int) else 0


def _explain(error: Exception) -> int:
    match error:
        case KsurfError():
            print_error(error.message, error.hint)
            return error.exit_status
        case click.UsageError() if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
            click.echo(error.format_message(), err=True)  # nothing was asked: click 8.2 and later raise that
            return error.exit_code
        case click.UsageError():
            command = error.ctx.command_path if error.ctx else "ksurf"
            print_error(error.format_message().rstrip("."), f"{command} --help lists what there is")
            return error.exit_code
        case click.ClickException():
            print_error(error.format_message())
            return error.exit_code
        case OSError() if is_full(error) and not error.filename:
            # What writes elsewhere names its folder; this is what was printed.
            print_error(f"the output: no room left to write ({error.strerror})", "write it somewhere else")
        case OSError():
            print_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        case _:
            print_error(
                f"this is a bug in ksurf: {type(error).__name__}: {error}",
                "please report it, with what ksurf --debug and the same arguments print",
            )
    return 1


def print_error(message: str, hint: str | None = None) -> None:
    """Print an error as a person is to see it."""
    plain = bool(os.environ.get("NO_COLOR")) or not sys.stderr.isatty()
    for word, color, text in (("error", "red", message), ("hint", "cyan", hint)):
        if text is not None:
            # One line that a terminal shows as it is, whatever is in a file's name or a server's answer.
            line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))
            label = word if plain else click.style(word, fg=color, bold=True)
            click.echo(f"ksurf: {label}: {line}", err=True, color=not plain)


def main() -> None:
    """Run the process's command line."""
    # pyarrow loads numpy wherever that is installed, and uses it for nothing that is asked of it here: that
    # would take as long as all else of a short command. Pictures do need it (plot/drawing/library.py).
    sys.modules.setdefault("numpy", None)  # type: ignore[arg-type]
    status = run()
    # Looking for garbage at the very end takes a tenth of the time of the longest commands. DuckDB, though,
    # counts what is left, and complains.
    if "duckdb" not in sys.modules:
        gc.freeze()
    sys.exit(status)
