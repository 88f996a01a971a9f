"""The semantic layer as a whole: what is kept, sweeps, precompiled headers, and sources that mean harm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ksurf.progress import Silent
from ksurf.source.semantic.cache import Cache
from ksurf.source.semantic.clang import PRECOMPILED
from ksurf.source.semantic.layer import Semantics, read_unit
from ksurf.source.semantic.model import SemanticFile, Unparsed
from ksurf.source.semantic.precompiled import PrecompiledHeaders
from ksurf.source.semantic.sweep import forget_before, precompile_common, sweep
from ksurf.source.semantic.worker import Limits
from ksurf.source.units import Units
from made_units import make_units

FILES = {
    "include/big.h": "#ifndef BIG\n#define BIG\n#include <small.h>\nstruct big { int inside; };\n#endif\n",
    "include/small.h": "static inline int small(int much) { return much; }\n",
    "a.c": "#include <big.h>\nint a(struct big *b) { return small(b->inside); }\n",
    "b.c": "#include <big.h>\nint b(struct big *b) { return small(1); }\n",
    "c.c": '#include <big.h>\n#include "local.h"\nint c(void) { return small(LOCAL); }\n',
    "d.c": "#include <big.h>\nconst char *d(void) { return KBUILD_MODNAME; }\n",
    "local.h": "#define LOCAL 3\n",
}

# Sixteen times sixteen times ...: 4 G words.
_TIMES = "\n".join(f"#define X{n} {' '.join([f'X{n - 1}'] * 16)}" for n in range(1, 9))
BOMB = f"#define X0 1,\n{_TIMES}\nint bomb[] = {{ X8 }};\n"


@pytest.fixture
def units(tmp_path: Path) -> Units:
    return make_units(tmp_path, FILES)


def test_a_file_is_read_once_and_again_when_an_input_changes(units: Units, tmp_path: Path) -> None:
    with Semantics(units, tmp_path / "kept") as semantics:
        assert semantics.cached("a.c") is None
        first = semantics.read("a.c")
        assert isinstance(first, SemanticFile)
        assert [hint.name for hint in first.hints] == ["much"]
        assert semantics.cached("a.c") == first
        header = units.tree / "include/small.h"
        # The same content at another time is the same.
        os.utime(header, (time.time() + 10, time.time() + 10))
        assert semantics.cached("a.c") == first
        header.write_text("static inline int small(int other) { return other; }\n")
        assert semantics.cached("a.c") is None
        again = semantics.read("a.c")
        assert isinstance(again, SemanticFile)
        assert [hint.name for hint in again.hints] == ["other"]


def test_a_moved_tree_keeps_its_results(units: Units, tmp_path: Path) -> None:
    with Semantics(units, tmp_path / "units" / "kept") as semantics:
        first = semantics.read("a.c")
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "tree").rename(other / "tree")
    (tmp_path / "units").rename(other / "units")
    moved = Units.load(other / "tree", other / "units")
    with Semantics(moved, other / "units" / "kept") as semantics:
        assert semantics.cached("a.c") == first


def test_headers_are_read_through_a_unit_that_includes_them(units: Units, tmp_path: Path) -> None:
    with Semantics(units, tmp_path / "kept") as semantics:
        seen = semantics.read("local.h")
        assert isinstance(seen, SemanticFile)
        assert seen.unit == "c.o"
        assert semantics.cached("local.h") == seen
        missing = semantics.read("include/nothing.h")
        assert isinstance(missing, Unparsed)
        assert missing.reason == "no unit of this kernel compiles or includes it"


def test_units_see_the_same_with_precompiled_headers(units: Units) -> None:
    headers = PrecompiledHeaders(units)
    every = list(units)
    one = headers.make(every[0].group, every)
    assert one is not None and one.headers == ("{tree}/include/big.h",)
    for unit in units:
        assert headers.of(unit) == one
        with_it, inputs = read_unit(units, unit, unit.file, False, headers)
        without, _ = read_unit(units, unit, unit.file, False, None)
        assert isinstance(with_it, SemanticFile)
        assert with_it == without
        assert not with_it.diagnostics
        assert str(units.tree / "include/small.h") in inputs


def test_large_groups_have_precompiled_headers_before_the_first_page(
    units: Units, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precompile_common(units, tmp_path / "kept", Silent())
    assert not list((units.folder / PRECOMPILED).glob("*.pch"))  # no group is large
    monkeypatch.setattr("ksurf.source.semantic.sweep._LARGE_GROUP", 4)
    precompile_common(units, tmp_path / "kept", Silent())
    assert all(PrecompiledHeaders(units).of(unit) is not None for unit in units)


def test_what_an_earlier_preparation_left_goes_with_the_next(units: Units, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    assert sweep(units, kept, units, Silent(), processes=1).read == 4
    assert len(list((units.folder / PRECOMPILED).glob("*.pch"))) == 1
    elsewhere = Units(units.tree, tmp_path / "other", units.arch, units, units.build)
    others, unit = Cache(elsewhere, kept), next(iter(units))
    others.store(unit, unit.file, False, Unparsed(unit.file, unit.object, "no reason"), [])
    (kept / "1f").mkdir()  # of an older format
    forget_before(units, kept)
    assert not (units.folder / PRECOMPILED).exists()
    assert not (kept / "1f").exists()
    # Prepared as before, all that was read holds.
    assert sweep(units, kept, units, Silent(), processes=1).read == 0
    anew = make_units(tmp_path, FILES, ["-DOTHER"])
    assert {unit.group for unit in anew}.isdisjoint(unit.group for unit in units)
    forget_before(anew, kept)
    assert not any(Cache(units, kept).path(unit, unit.file, False).exists() for unit in units)
    assert others.load(unit, unit.file, False) is not None


def test_a_unit_that_sets_what_a_header_asks_for_is_read_without(tmp_path: Path) -> None:
    files = {
        "include/asks.h": "#ifdef WISH\nint wished;\n#else\nint usual;\n#endif\n",
        **{f"{name}.c": "#include <asks.h>\nint x;\n" for name in "abc"},
        "wishes.c": "#define WISH\n#include <asks.h>\nint f(void) { return wished; }\n",
    }
    units = make_units(tmp_path, files)
    headers = PrecompiledHeaders(units)
    assert headers.make(next(iter(units)).group, list(units)) is not None
    (unit,) = units.of_file("wishes.c")
    assert headers.of(unit) is None
    seen, _ = read_unit(units, unit, unit.file, False, headers)
    assert isinstance(seen, SemanticFile) and not seen.diagnostics


def test_a_changed_header_is_not_taken_from_a_precompiled_one(units: Units) -> None:
    headers = PrecompiledHeaders(units)
    assert headers.make(next(iter(units)).group, list(units)) is not None
    (units.tree / "include/small.h").write_text("static inline int small(int changed) { return changed; }\n")
    (unit,) = units.of_file("b.c")
    seen, _ = read_unit(units, unit, unit.file, False, headers)
    assert isinstance(seen, SemanticFile)
    assert [hint.name for hint in seen.hints] == ["changed"]


def test_a_sweep_goes_on_where_it_was(units: Units, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    every = list(units)
    first = sweep(units, kept, every[:2], Silent(), processes=2)
    assert (first.known, first.read, first.failed) == (0, 2, ())
    second = sweep(units, kept, every, Silent(), processes=2)
    assert (second.known, second.read, second.failed) == (2, 2, ())
    assert sweep(units, kept, every, Silent()).known == 4


SWEEPING = """\
import sys
from pathlib import Path
from ksurf.progress import Silent
from ksurf.source.semantic.sweep import sweep
from ksurf.source.units import Units
units = Units.load(Path(sys.argv[1]), Path(sys.argv[2]))
print("begun", flush=True)
sweep(units, Path(sys.argv[3]), units, Silent(), processes=2)
"""


def test_ctrl_c_ends_a_sweep_at_once(tmp_path: Path) -> None:
    files = {f"{name}.c": BOMB for name in "abc"}
    units = make_units(tmp_path, files)
    command = [sys.executable, "-c", SWEEPING, str(units.tree), str(units.folder), str(tmp_path / "kept")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        _, said = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in said
    assert time.monotonic() - start < 15
    left = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            left.append(file.read_bytes())
    assert left and not any(str(units.folder).encode() in words for words in left)


def test_what_clang_does_not_survive_costs_one_unit(tmp_path: Path) -> None:
    # Sixteen times sixteen times ...: 4 G words.
    bomb = "\n".join(f"#define X{n} {' '.join([f'X{n - 1}'] * 16)}" for n in range(1, 9))
    files = {
        "a.c": "int a;\n",
        "bomb.c": f"#define X0 1,\n{bomb}\nint bomb[] = {{ X8 }};\n",
        "z.c": "int z;\n",
    }
    units = make_units(tmp_path, files)
    reporter = Silent()
    done = sweep(
        units, tmp_path / "kept", units, reporter, processes=1, limits=Limits(time_s=20, memory_bytes=1 << 30)
    )
    assert [failed.file for failed in done.failed] == ["bomb.c"]
    assert "bomb.o: clang" in reporter.warnings[0]
    cache = Cache(units, tmp_path / "kept")
    assert all(cache.load(unit, unit.file, False) for unit in units if unit.file != "bomb.c")


def test_deep_nesting_and_binary_junk_do_no_harm(tmp_path: Path) -> None:
    units = make_units(tmp_path, {"deep.c": f"int x = {'(' * 50_000}1{')' * 50_000};\n", "junk.c": ""})
    (units.tree / "junk.c").write_bytes(bytes(range(256)) * 50)
    with Semantics(units, tmp_path / "kept") as semantics:
        for file in ("deep.c", "junk.c"):
            assert semantics.read(file) is not None


def test_files_outside_of_the_tree_are_not_there(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h"
    secret.write_text("int secret_number;\n")
    source = (
        f'#include "{secret}"\n#include "../secret.h"\n#include "/dev/zero"\n#include "link.h"\n'
        "int f(void) { return secret_number; }\n"
    )
    units = make_units(tmp_path, {"a.c": source})
    (units.tree / "link.h").symlink_to(secret)
    with Semantics(units, tmp_path / "kept") as semantics:
        seen = semantics.read("a.c")
    assert isinstance(seen, SemanticFile)
    assert [str(said) for said in seen.diagnostics][:3] == [
        f"a.c:1: '{secret}' file not found",
        "a.c:2: '../secret.h' file not found",
        "a.c:3: '/dev/zero' file not found",
    ]
    # A link is followed by the operating system; what it leads to has no place all the same.
    places = [symbol.place for symbol in seen.symbols if symbol.name == "secret_number"]
    assert places in ([], [None])
    assert [one.place for one in seen.includes] == [None] * len(seen.includes)
