"""What the kernel's source offers to BPF programs: LSM hooks, kfuncs, struct_ops.

Sources: include/linux/lsm_hook_defs.h; include/linux/btf_ids.h (how sets are written), include/linux/btf.h
(the flags of kfuncs), and every file that has a set with flags or a table of functions. The C preprocessor
decides the conditions, with the kernel's own configuration; a file counts if the kernel has a unit that was
compiled from it, or from one that includes it.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from os.path import normpath
from pathlib import PurePosixPath
from typing import NamedTuple

from ksurf.errors import KsurfError
from preprocess import preprocessed

__all__ = ["Hook", "Kfunc", "StructOps", "compiled", "hooks", "kfuncs", "struct_ops", "wanted_bpf_sources"]

_HOOKS = "include/linux/lsm_hook_defs.h"
_KCONFIG = "include/linux/kconfig.h"
_FLAGS = "include/linux/btf.h"
_LISTING_HEADERS = ("include/net/xdp.h",)  # the only one whose macros list entries of a set
_STRUCT_OPS = re.compile(r"\bstruct bpf_struct_ops (\w+)\s*=\s*\{(.*?)\n\};", re.DOTALL)
_SET = re.compile(
    r"\b(BTF_SET8_START|BTF_KFUNCS_START)\((\w+)\)(.*?)\b(?:BTF_SET8|BTF_KFUNCS)_END\(", re.DOTALL
)
_ENTRY = re.compile(r"\bBTF_ID_FLAGS\(\s*func\s*,\s*(\w+)\s*(?:,([^)]*))?\)")
_KSET = re.compile(r"\bstruct btf_kfunc_id_set (\w+)\s*=\s*\{[^}]*?\.set\s*=\s*&(\w+)")
_REGISTER = re.compile(r"\bregister_btf_kfunc_id_set\(\s*BPF_PROG_TYPE_(\w+)\s*,\s*&(\w+)\)")
_FMODRET = re.compile(r"\bregister_btf_fmodret_id_set\(\s*&(\w+)\)")
_TELLING = re.compile(rb"\b(?:BTF_SET8_START|BTF_KFUNCS_START)\(|\bstruct bpf_struct_ops \w+\s*=")
_INCLUDES_C = re.compile(r'(?m)^[ \t]*#[ \t]*include[ \t]+"([^"]+\.c)"')
_INCLUDED_C = "ksurf_included"
_APART = re.compile(r"(?:tools|samples|Documentation)/")


class Hook(NamedTuple):
    """An LSM hook."""

    name: str
    returns: str
    arguments: str
    """C text as it is written, with single spaces: ``struct file *file, int mask``, or ``void``."""


class Kfunc(NamedTuple):
    """An entry of a set with flags."""

    file: str
    macro: str
    """What the set begins with. ``BTF_KFUNCS_START``, where the source knows it, is for sets of kfuncs."""
    set: str
    registered: str
    """Program types, in order and without ``BPF_PROG_TYPE_``.

    ``fmodret`` if it lists functions whose result a program may replace; empty if nothing registers it.
    """
    name: str
    flags: str
    """By name, in the order of their bits."""
    flags_value: int


class StructOps(NamedTuple):
    """A table of functions that a BPF program may supply."""

    file: str
    variable: str
    name: str
    """The struct's name, and that of the type ``bpf_struct_ops_<name>``."""


def wanted_bpf_sources(files: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Return what matters of the files of the kernel's source, by path."""
    always = {_HOOKS, _KCONFIG, _FLAGS, *_LISTING_HEADERS}
    found: dict[str, str] = {}
    including: dict[str, str] = {}
    for path, content in files:
        if path in always:
            found[path] = content.decode()
        elif path.endswith(".c") and not _APART.match(path):
            if _TELLING.search(content):
                found[path] = content.decode()
            elif b'.c"' in content and any(_included(path, text := content.decode("utf-8", "replace"))):
                including[path] = text
    return found | {
        path: text for path, text in including.items() if not found.keys().isdisjoint(_included(path, text))
    }


def _included(path: str, text: str) -> list[str]:
    """Return the paths of the C files that a file includes, whatever the conditions are."""
    return [_beside(path, name) for name in _INCLUDES_C.findall(text)]


def _beside(path: str, name: str) -> str:
    return normpath(PurePosixPath(path).parent / name)


def hooks(sources: Mapping[str, str], config: Mapping[str, str]) -> list[Hook]:
    """Return the LSM hooks in their order."""
    text = _preprocessed(sources, config, _HOOKS)
    found = [_hook(_balanced(text, match.end())) for match in re.finditer(r"\bLSM_HOOK\(", text)]
    return sorted(found)


def _hook(inside: str) -> Hook:
    returns, _default, name, arguments = (_spaced(part) for part in inside.split(",", 3))
    return Hook(name, returns, arguments)


def compiled(
    sources: Mapping[str, str], config: Mapping[str, str], units: Mapping[str, bool]
) -> dict[str, str]:
    """Return the C files that were compiled, preprocessed; a unit's value says if it is a module's."""
    texts = {
        path: _preprocessed(sources, config, path, module=units[path])
        for path in sources
        if path in units and path.endswith(".c")
    }
    for path in [*texts]:
        for name in re.findall(rf'\b{_INCLUDED_C} "(.+)"', texts[path]):
            included = _beside(path, name)
            if included in sources:
                texts[included] = _preprocessed(sources, config, included, module=units[path])
    return texts


def kfuncs(sources: Mapping[str, str], texts: Mapping[str, str]) -> list[Kfunc]:
    """Return the entries of all sets in what :func:`compiled` returned."""
    bits = _flag_bits(sources[_FLAGS])
    return sorted(kfunc for path, text in texts.items() for kfunc in _kfuncs(path, text, bits))


def _kfuncs(path: str, text: str, bits: Mapping[str, int]) -> Iterator[Kfunc]:
    registered: dict[str, set[str]] = {}
    sets = dict(_KSET.findall(text))
    told = [*_REGISTER.findall(text), *(("fmodret", kset) for kset in _FMODRET.findall(text))]
    if len(told) != len(re.findall(r"\bregister_btf_(?:kfunc|fmodret)_id_set\(", text)):
        raise KsurfError(f"{path}: a set is registered in another way than expected")
    for program_type, kset in told:
        registered.setdefault(sets[kset], set()).add(program_type)
    for macro, name, entries in _SET.findall(text):
        types = " ".join(sorted(registered.pop(name, ())))
        found = _ENTRY.findall(entries)
        if len(found) != entries.count("BTF_ID"):
            raise KsurfError(f"{path}: {name} has an entry that is written in another way than expected")
        for function, written in found:
            flags = sorted({*written.replace("|", " ").split()} - {"0"}, key=bits.__getitem__)
            value = sum(1 << bits[flag] for flag in flags)
            yield Kfunc(path, macro, name, types, function, " ".join(flags), value)
    if registered:
        raise KsurfError(f"{path}: registers sets that are not there: {', '.join(registered)}")


def _flag_bits(text: str) -> dict[str, int]:
    return {name: int(bit) for name, bit in re.findall(r"(?m)^#define (KF_\w+)\s*\(1 << (\d+)\)", text)}


def struct_ops(texts: Mapping[str, str]) -> list[StructOps]:
    """Return the tables of functions in what :func:`compiled` returned."""
    return sorted(
        StructOps(path, variable, _struct_name(path, text, variable, body))
        for path, text in texts.items()
        for variable, body in _STRUCT_OPS.findall(text)
    )


def _struct_name(path: str, text: str, variable: str, body: str) -> str:
    # Where tables are registered one by one the name is a type's; before, it is only in the table.
    registered = re.search(rf"\bregister_bpf_struct_ops\(\s*&{variable}\s*,\s*(\w+)\)", text)
    named = registered or re.search(r'\.name\s*=\s*"(\w+)"', body)
    if named is None:
        raise KsurfError(f"{path}: {variable} has no name")
    return named[1]


def _balanced(text: str, start: int) -> str:
    """Return what is between an opening parenthesis, after which ``start`` is, and its closing one."""
    depth, end = 1, start
    while depth:
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    return text[start : end - 1]


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _preprocessed(
    sources: Mapping[str, str], config: Mapping[str, str], path: str, *, module: bool = False
) -> str:
    """Let the C preprocessor decide a file's conditions; macros of headers stay as they are written."""
    listing = "".join(
        define
        for header in _LISTING_HEADERS
        for define in re.findall(r"(?m)^#define \w+_xxx\b(?:.*\\\n)*.*\n", sources.get(header, ""))
    )
    marked = _INCLUDES_C.sub(rf'{_INCLUDED_C} "\1"', sources[path])
    without_includes = re.sub(r"(?m)^[ \t]*#[ \t]*include\b.*$", "", marked)
    with tempfile.NamedTemporaryFile("w", prefix="ksurf-truth-", suffix=".h") as kconfig:
        # It includes the configuration as the build writes it, which is given here.
        kconfig.write(re.sub(r"(?m)^#include\b.*$", "", sources[_KCONFIG]))
        kconfig.flush()
        options = ["-undef", "-imacros", kconfig.name, *["-DMODULE"][:module]]
        return preprocessed(path, _defines(config) + listing + without_includes, options)


def _defines(config: Mapping[str, str]) -> str:
    """Return the configuration as include/generated/autoconf.h has it."""
    lines = [
        f"#define {name}_MODULE 1" if value == "m" else f"#define {name} {1 if value == 'y' else value}"
        for name, value in config.items()
        if value in {"y", "m"} or re.fullmatch(r"-?(?:0[xX][0-9a-fA-F]+|\d+)", value)
    ]
    return "\n".join([*lines, ""])
