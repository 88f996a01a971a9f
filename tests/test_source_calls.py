"""Callers and callees: from code, from fields, from the text; and the commands for them."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from ksurf.cli import run
from ksurf.dataset.lookup import functions_named
from ksurf.dataset.lookup.written import callees_of
from ksurf.dataset.store import Store
from ksurf.kernel import Kernel
from ksurf.progress import Silent
from ksurf.report.source_calls import CallsPage, calls_json, calls_text
from ksurf.source.join.edges import Edge, EdgeKind, callees, callers
from ksurf.source.join.known_dispatch import KnownDispatch
from ksurf.source.join.written_edges import written_callees, written_callers
from ksurf.source.names import NamesIndex
from ksurf.source.place import Place
from ksurf.source.semantic.cache import Cache
from ksurf.source.units import Group, Unit, Units
from made_kernel import kernel
from made_semantic import MadeSemantic
from test_source_join import FILE, kvm

OLD, NEW = kernel("6.12.1"), kernel("7.3.1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    shifted = kvm()
    for site in shifted.call_sites:
        site["line"] += 100
    shifted.write(tmp_path / "dataset", OLD)
    kvm().write(tmp_path / "dataset", NEW)
    return Store(tmp_path / "dataset")


def places(store: Store) -> list[tuple[Kernel, Path]]:
    return [(m.kernel, store.directory(m.kernel.id)) for m in store.kernels()]


def told(edge: Edge) -> tuple[str, str, tuple[str, ...], str, int, int]:
    return edge.function, edge.kind.value, edge.chain, str(edge.place), edge.copies, len(edge.kernels)


class TestEdges:
    def test_kernels_with_the_same_are_told_together(self, store: Store) -> None:
        found = callers(functions_named(["wake"], places(store), chains=True)["wake"])
        assert [told(edge) for edge in found] == [
            ("far", "called", (), "kernel/other.c:10", 1, 2),
            ("far", "called", ("kick",), f"{FILE}:12", 1, 2),
            ("kick", "called", (), f"{FILE}:12", 2, 2),
            ("outer", "called", (), f"{FILE}:22", 1, 2),
            ("outer", "called", (), "include/linux/kvm_host.h:8", 1, 2),
            ("outer", "called", ("kick",), f"{FILE}:12", 1, 2),
        ]

    def test_callees_with_those_of_inlined_functions(self, store: Store) -> None:
        found = callees(callees_of(["outer"], places(store)))
        assert [told(edge) for edge in found] == [
            ("kick", "inlined", (), f"{FILE}:21", 1, 2),
            ("wake", "called", (), f"{FILE}:22", 1, 2),
            ("wake", "called", (), "include/linux/kvm_host.h:8", 1, 2),
            ("wake", "called", ("kick",), "None", 1, 2),
        ]

    def test_nothing_of_nothing(self) -> None:
        assert callers([]) == callees([]) == ()


class TestReport:
    page = CallsPage(
        "f",
        "callers",
        (OLD, NEW),
        (
            Edge("a", EdgeKind.INLINED, ("b", "c"), Place("x.c", 3), (NEW,), 2),
            Edge("d\x1b[31m", EdgeKind.POSSIBLE, (), Place("y.c", 4), (OLD, NEW), field="ops::f"),
        ),
        "1 of 5640 units",
        ("a note",),
    )

    def test_text(self) -> None:
        assert click.unstyle(calls_text(self.page)).splitlines() == [
            "callers of f",
            "  inlined   a via b → c  x.c:3  ×2  on 7.3",
            "  possible  d\\x1b[31m  through ops::f  y.c:4",
            "  calls through fields are known of 1 of 5640 units, those that were read so far",
            "  a note",
        ]
        assert "  and 1 more; --limit shows more, 0 all" in click.unstyle(calls_text(self.page, limit=1))

    def test_json(self) -> None:
        document = json.loads(calls_json(self.page))
        assert document["schema"] == "ksurf.source-callers"
        assert document["total"] == 2
        assert document["callers"][0] == {
            "function": "a",
            "kind": "inlined",
            "chain": ["b", "c"],
            "place": {"file": "x.c", "line": 3},
            "field": None,
            "copies": 2,
            "kernels": [NEW.id],
        }


TEXT = """\
static int helper(int x)
{
\treturn x;
}

int outer(int a)
{
\tif (a)
\t\treturn helper (a); /* never(1) */
\treturn MACRO(a) + sizeof(a);
}

int pointer(void) { return (int)(long)helper; }
"""


class TestText:
    @pytest.fixture
    def tree(self, tmp_path: Path) -> tuple[NamesIndex, Path]:
        root = tmp_path / "tree"
        root.mkdir()
        (root / "a.c").write_text(TEXT)
        (root / "junk.c").write_bytes(b"\xff\x00helper(((((" * 50)
        NamesIndex.build(root, tmp_path / "names", threads=1, reporter=Silent())
        return NamesIndex.open(tmp_path / "names", root), root

    def test_callers_are_those_in_whose_text_it_is_called(self, tree: tuple[NamesIndex, Path]) -> None:
        assert [(e.function, e.kind, str(e.place)) for e in written_callers("helper", *tree)] == [
            ("outer", EdgeKind.WRITTEN, "a.c:9")
        ]

    def test_callees(self, tree: tuple[NamesIndex, Path]) -> None:
        assert [e.function for e in written_callees("outer", *tree)] == ["helper", "MACRO"]
        assert written_callees("nobody", *tree) == ()

    def test_a_file_that_is_gone(self, tree: tuple[NamesIndex, Path]) -> None:
        (tree[1] / "a.c").unlink()
        assert written_callers("helper", *tree) == ()


class TestKnownDispatch:
    def seen(self) -> MadeSemantic:
        made = MadeSemantic(FILE)
        read = made.field("kvm_ops", "read")
        made.define("kick", 10, 20)
        made.register(read, made.define("my_read", 50), 60, holder="my_ops")
        made.call(read, 14, "kick")
        return made

    def made(self, tmp_path: Path) -> tuple[Units, Cache, Unit]:
        group = Group("0", ())
        unit = Unit(FILE, False, "virt/kvm/kvm_main.o", group, ())
        other = Unit("kernel/fork.c", False, "kernel/fork.o", group, ())
        units = Units(tmp_path, tmp_path / "units", "amd64", [unit, other], tmp_path / "build")
        return units, Cache(units, tmp_path / "semantic"), unit

    def test_what_was_read_is_known(self, tmp_path: Path) -> None:
        units, cache, unit = self.made(tmp_path)
        empty = KnownDispatch(units, tmp_path / "semantic").current()
        assert (empty.coverage, empty.callers_of("my_read")) == ("0 of 2 units", ())
        cache.store(unit, FILE, False, self.seen().made(), [])
        for _ in range(2):
            found = KnownDispatch(units, tmp_path / "semantic").current()
            assert found.coverage == "1 of 2 units"
            assert [call.caller for call in found.callers_of("my_read")] == ["kick"]

    def test_one_that_is_asked_again_sees_what_is_new(self, tmp_path: Path) -> None:
        units, cache, unit = self.made(tmp_path)
        known = KnownDispatch(units, tmp_path / "semantic")
        assert known.current().seen == 0
        cache.store(unit, FILE, False, self.seen().made(), [])
        assert known.current().seen == 1
        assert known.current() is known.current()

    def test_results_of_other_kernels_and_of_headers_are_passed_over(self, tmp_path: Path) -> None:
        units, cache, unit = self.made(tmp_path)
        cache.store(unit, "include/linux/kvm_host.h", False, self.seen().made(), [])
        for _ in range(2):
            assert KnownDispatch(units, tmp_path / "semantic").current().seen == 0

    def test_a_result_that_is_another_now_is_read_again(self, tmp_path: Path) -> None:
        units, cache, unit = self.made(tmp_path)
        cache.store(unit, FILE, False, self.seen().made(), [])
        KnownDispatch(units, tmp_path / "semantic").current()
        cache.store(unit, FILE, False, MadeSemantic(FILE).made(), [])
        assert KnownDispatch(units, tmp_path / "semantic").current().callers_of("my_read") == ()

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"[]",
            b'{"format": 9, "results": 1}',
            b'{"format": 1, "results": {"a": [1]}, "others": []}',
        ],
    )
    def test_a_damaged_table_is_made_anew(self, tmp_path: Path, content: bytes) -> None:
        units, cache, unit = self.made(tmp_path)
        cache.store(unit, FILE, False, self.seen().made(), [])
        (tmp_path / "units").mkdir()
        (tmp_path / "units" / "dispatch.json").write_bytes(content)
        assert KnownDispatch(units, tmp_path / "semantic").current().seen == 1

    def test_a_damaged_result_is_passed_over(self, tmp_path: Path) -> None:
        units, cache, unit = self.made(tmp_path)
        cache.store(unit, FILE, False, self.seen().made(), [])
        cache.path(unit, FILE, False).write_bytes(b"junk")
        assert KnownDispatch(units, tmp_path / "semantic").current().seen == 0


class TestCommands:
    def test_callers(self, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["source", "callers", "kick", "--dataset", str(store.path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "callers of kick"
        assert lines[2] == f"  inlined   outer  {FILE}:21"
        assert "calls through fields are not known: there are no source trees" in lines[-1]

    def test_callees_as_json(self, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
        arguments = ["source", "callees", "outer", "--on", "7.3", "--format", "json"]
        assert run([*arguments, "--dataset", str(store.path)]) == 0
        document = json.loads(capsys.readouterr().out)
        assert [kernel["id"] for kernel in document["kernels"]] == [NEW.id]
        assert {edge["function"] for edge in document["callees"]} == {"kick", "wake"}

    @pytest.mark.parametrize("direction", ["callers", "callees"])
    def test_nobody(self, store: Store, direction: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["source", direction, "nobody", "--dataset", str(store.path)]) == 1
        assert "no kernel of the dataset has a function nobody" in capsys.readouterr().err

    def test_an_empty_dataset(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["source", "callers", "kick", "--dataset", str(tmp_path / "none")]) == 1
        assert "Traceback" not in capsys.readouterr().err

    def test_surface_without_a_tree(self, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["surface", FILE, "--dataset", str(store.path)]) != 0
        assert "there are no source trees" in capsys.readouterr().err
