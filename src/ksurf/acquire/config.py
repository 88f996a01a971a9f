"""A kernel's configuration: found in a file or in a package, and read into names and values.

Sources: the kernel's scripts/kconfig/confdata.c (``conf_read_simple``, ``conf_set_sym_val``) and symbol.c
(``sym_escape_string_value``), which read and write the format; Debian's source package ``linux``, which lays
the packages out.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ksurf.acquire.source import ConfigSource
from ksurf.errors import InputError

__all__ = ["Config", "Options", "config_packages", "embedded_config", "parse_config", "read_config"]

Options = list[tuple[str, str]]
"""Names, with ``CONFIG_`` in front, and values, in the order of the file."""

_BYTE_LIMIT = 16 << 20
_LINE_LIMIT = 1 << 16
_SHOWN = 60
_PACKAGE = re.compile(
    r"(?m)^Package:[ \t]*linux-(?:headers|base|modules|image(?:-unsigned)?)-(\d\S*?)(?:-unsigned)?[ \t]*$"
)
# In a release of Debian's: what follows the version and the build's number. 686 is a flavour, not a number.
_FLAVOUR = re.compile(r"\d[^-]*(?:-(?!686)(?:\d[\w.]*|rc\d+|trunk)(?=-))*-(.+)")
_SET = re.compile(r"(CONFIG_\w+)=(.*)", re.ASCII)
_NOT_SET = re.compile(r"# (CONFIG_\w+) is not set", re.ASCII)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PLAIN = re.compile(r"[ymn]|-?[0-9]+|(?:0[xX])?[0-9A-Fa-f]+|")
_CONTROL = re.compile(r"[\0-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True)
class Config:
    """A configuration, and what it was read from."""

    options: Options
    facts: dict[str, object]
    """``kind`` (``package``, ``file`` or ``image``), ``file`` where there is one, and ``sha256``."""


def config_packages(release: str, base_version: str) -> tuple[str, ...]:
    """Return which of Debian's packages have the configuration of a release, the one to prefer first.

    That in the headers is what the kernel was built with. In the others the options are left out that each
    build sets for itself: ``CONFIG_BUILD_SALT``, and those of the keys that sign modules. An image comes last
    since it is the largest by far.
    """
    return (
        f"linux-headers-{release}",
        f"linux-base-{release}",
        f"linux-config-{base_version}",
        f"linux-image-{release}",
        f"linux-image-{release}-unsigned",
    )


def read_config(source: ConfigSource, release: str | None) -> Config:
    """Read the configuration of a release from a file or a package that has it.

    Raises :class:`~ksurf.errors.InputError` if there is none, or if it is that of another release.
    """
    from ksurf import _core

    path = source.path
    try:
        with path.open("rb") as file:
            data = file.read(_BYTE_LIMIT + 1)
            is_package = data.startswith(b"!<arch>\n")
            digest = hashlib.sha256(data)
            if is_package and source.sha256 is None:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
        if is_package:
            data = _member(path, release)
        elif len(data) > _BYTE_LIMIT:
            raise InputError(f"{path}: longer than the {_BYTE_LIMIT} bytes that a configuration may have")
    except _core.ReadError as error:
        raise InputError(str(error)) from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    try:
        text = _core.decompress(data)
    except _core.ReadError as error:
        raise InputError(f"{path}: {error}") from error
    kind = "package" if is_package else "file"
    sha256 = source.sha256 if is_package and source.sha256 else digest.hexdigest()
    return Config(parse_config(text, str(path)), {"kind": kind, "file": path.name, "sha256": sha256})


def embedded_config(text: bytes, name: str) -> Config:
    """Read the configuration that an image carries itself (``CONFIG_IKCONFIG``)."""
    facts: dict[str, object] = {"kind": "image", "sha256": hashlib.sha256(text).hexdigest()}
    return Config(parse_config(text, f"{name}: its configuration"), facts)


def _member(path: Path, release: str | None) -> bytes:
    """The file in a package that has the configuration, as it lies there."""
    from ksurf import _core

    control = _core.deb_control(str(path))
    named = _PACKAGE.search(control)
    own = named[1] if named else release
    if own is None:
        raise InputError(f"{path}: which of its configurations?", "name the kernel's release with --release")
    if release not in {None, own}:
        raise InputError(f"{path}: it is of {own}, and the kernel is {release}")
    names = [f"usr/src/linux-headers-{own}/.config", f"boot/config-{own}", f"lib/modules/{own}/config"]
    arch = re.search(r"(?m)^Architecture:[ \t]*(\S+)", control)
    flavour = _FLAVOUR.fullmatch(own)
    if arch and flavour:
        # linux-config has those of all flavours: ARCHITECTURE_FEATURESET_FLAVOUR, where rt was a featureset.
        names.append(f"config.{arch[1]}_none_{flavour[1]}.xz")
        names.append(f"config.{arch[1]}_{flavour[1].replace('-', '_', 1)}.xz")
    data = _core.deb_member(str(path), names)
    if data is None:
        raise InputError(f"{path}: no configuration of {own} in it")
    return data


def parse_config(text: bytes, name: str) -> Options:
    """Read a ``.config``; ``name`` is what errors call it.

    Strings are without their quotes, what ``is not set`` is ``n``. Of an option that stands there twice the
    last value counts, as it does for the kernel's build.
    """
    options: dict[str, str] = {}
    for number, line in enumerate(text.decode("utf-8", "replace").split("\n"), 1):
        line = line.removesuffix("\r")
        if len(line) > _LINE_LIMIT:
            raise InputError(f"{name}: line {number} has {len(line)} characters: no kernel's configuration")
        if found := _NOT_SET.fullmatch(line):
            options[found[1]] = "n"
        elif found := _SET.fullmatch(line):
            value = _value(found[2])
            if value is None:
                raise _refused(name, number, f"the value of {found[1]}", found[2])
            options[found[1]] = value
        elif line and not line.startswith("#"):
            raise _refused(name, number, "neither an option nor a comment", line)
    if not options:
        raise InputError(f"{name}: it sets no option of a kernel")
    return list(options.items())


def _value(text: str) -> str | None:
    if found := _STRING.fullmatch(text):
        return None if _CONTROL.search(text) else re.sub(r"\\(.)", r"\1", found[1])
    return text if _PLAIN.fullmatch(text) else None


def _refused(name: str, number: int, what: str, text: str) -> InputError:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return InputError(f"{name}: line {number}: {what}: {shown!r}", "a kernel's .config is expected")
