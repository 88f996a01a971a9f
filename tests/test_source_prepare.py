"""Finding units: what is asked of make, what is missing, and which unit shows a header."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ksurf.errors import DatasetError, InputError
from ksurf.progress import Silent
from ksurf.source.includes import units_of_header
from ksurf.source.prepare import find_headers, prepare
from ksurf.source.units import Units
from made_units import make_units

# A kernel whose build is one recipe. It says what it sees of the folder that it builds in.
MAKEFILE = """\
ifeq ($(wildcard $(O)/include/generated/autoconf.h),)
$(error not prepared)
endif
srctree := $(CURDIR)
CC_LINE = gcc -Wp,-MMD,.x.d -nostdinc -I$(srctree)/include -I./include -D__KERNEL__ -O2 -fconserve-stack
modules:
vmlinux:
\t@mkdir -p $(O)/left-behind
\tset -e; echo '  CC      a.o'; $(CC_LINE) -DKBUILD_BASENAME='"a"' -c -o a.o $(srctree)/a.c ; ./fixdep 'again'
\t$(CC_LINE) -DKBUILD_BASENAME='"b"' -c -o lib/b.o $(srctree)/lib/b.c
\t$(CC_LINE) -c -o lib/made.o lib/made.c
\tgcc -Wp,-MMD,.x.d -c -o scripts/host.o $(srctree)/scripts/host.c
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    for name in ("arch/x86", "scripts", "lib", "include"):
        (folder / name).mkdir(parents=True)
    for name in ("Kbuild", "scripts/Makefile.build", "a.c", "lib/b.c"):
        (folder / name).write_text("")
    (folder / "Makefile").write_text(MAKEFILE)
    return folder


@pytest.fixture
def headers(tmp_path: Path) -> Path:
    folder = tmp_path / "package/usr/src/linux-headers-1"
    for name in ("include/config", "include/generated", "arch/x86/include/generated/asm"):
        (folder / name).mkdir(parents=True)
    (folder / ".config").write_text("CONFIG_A=y\n")
    (folder / "include/generated/autoconf.h").write_text("#define CONFIG_A 1\n")
    (folder / "include/generated/link.h").symlink_to("/etc/passwd")
    return folder


def test_units_are_what_make_would_compile(tree: Path, headers: Path, tmp_path: Path) -> None:
    assert find_headers(tmp_path / "package") == headers
    target = tmp_path / "units"
    units = prepare(tree, headers, target, "amd64", Silent())
    assert [(unit.file, unit.object, unit.is_generated) for unit in units] == [
        ("a.c", "a.o", False),
        ("lib/b.c", "lib/b.o", False),
        ("lib/made.c", "lib/made.o", True),
    ]
    first, second, _ = units
    assert first.group == second.group
    assert first.own_arguments == ('-DKBUILD_BASENAME="a"',)
    assert units.expanded(first.group.arguments) == [
        *("-nostdinc", f"-I{tree}/include", f"-I{target}/build/include", "-D__KERNEL__", "-O2"),
    ]
    # What make leaves behind is gone, and so is what leads out.
    assert sorted(path.name for path in (target / "build").iterdir()) == [".config", "arch", "include"]
    assert not (target / "build/include/generated/link.h").is_symlink()
    assert [path.name for path in target.iterdir() if path.name.startswith(".build")] == []
    again = Units.load(tree, target)
    assert list(again) == list(units)
    assert again.of_file("lib/b.c") == [second]
    assert again.below(["lib"]) == [second, list(units)[2]]


def test_a_build_with_compile_commands_is_used_as_it_is(tree: Path, headers: Path, tmp_path: Path) -> None:
    entry = {
        "directory": str(headers),
        "file": f"{tree}/a.c",
        "command": f"gcc -Iinclude -c -o a.o {tree}/a.c",
    }
    (headers / "compile_commands.json").write_text(json.dumps([entry]))
    units = prepare(tree, headers, tmp_path / "units", "amd64", Silent())
    (unit,) = Units.load(tree, tmp_path / "units")
    assert units.build == headers
    assert unit.group.arguments == ("-I{build}/include",)
    (headers / "compile_commands.json").write_text('[{"directory": 1}]')
    with pytest.raises(InputError, match="not a list of compile commands"):
        prepare(tree, headers, tmp_path / "units", "amd64", Silent())


def test_what_is_missing_is_said(tree: Path, headers: Path, tmp_path: Path) -> None:
    target = tmp_path / "units"
    with pytest.raises(InputError, match="units of alpha cannot be read"):
        prepare(tree, headers, target, "alpha", Silent())
    with pytest.raises(InputError, match="has no arch/arm64"):
        prepare(tree, headers, target, "arm64", Silent())
    with pytest.raises(InputError, match="not the root of a kernel's source tree"):
        prepare(headers, headers, target, "amd64", Silent())
    with pytest.raises(InputError, match="not a prepared folder") as error:
        prepare(tree, tree, target, "amd64", Silent())
    assert error.value.hint is not None and "linux-headers" in error.value.hint


def test_missing_tools_are_named(
    tree: Path, headers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="make is not installed") as error:
        prepare(tree, headers, tmp_path / "units", "amd64", Silent())
    assert error.value.hint == "apt install make"


def test_what_make_says_is_shown(tree: Path, headers: Path, tmp_path: Path) -> None:
    (tree / "Makefile").write_text("$(error this tree is for nobody)\n")
    with pytest.raises(InputError, match="this tree is for nobody"):
        prepare(tree, headers, tmp_path / "units", "amd64", Silent())


def test_a_table_that_is_none_is_told(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no units of this kernel are known"):
        Units.load(tree, tmp_path)
    for content in ("", "[]", '{"format": 1}', '{"format": 99}'):
        (tmp_path / "units.json").write_text(content)
        with pytest.raises(DatasetError):
            Units.load(tree, tmp_path)


def test_the_nearest_includer_shows_a_header(tmp_path: Path) -> None:
    files = {
        "include/linux/x.h": "#include <linux/y.h>\n",
        "include/linux/y.h": "#if 0\n#include <linux/z.h>\n#endif\n",
        "include/linux/z.h": "",
        "a/far.c": "#include <linux/x.h>\n",
        "b/local.h": "",
        "b/near.c": '#include "local.h"\n#include <linux/y.h>\n',
    }
    units = make_units(tmp_path, files)
    assert [unit.file for unit in units_of_header(units, "b/local.h")] == ["b/near.c"]
    assert [unit.file for unit in units_of_header(units, "include/linux/y.h")] == ["b/near.c", "a/far.c"]
    assert [unit.file for unit in units_of_header(units, "include/linux/z.h")] == ["b/near.c", "a/far.c"]
    assert list(units_of_header(units, "include/linux/none.h")) == []
