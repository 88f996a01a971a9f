"""The source joined with what kernels made of it, on made kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from ksurf.dataset.lookup.written import callees_of, functions_written
from ksurf.dataset.rows import WrittenCall
from ksurf.dataset.store import Store
from ksurf.kernel import Kernel
from ksurf.source.facts import CallOutcome, FunctionOnKernel, PageFacts
from ksurf.source.join import Dispatch, Field, file_dispatch, page_facts
from ksurf.source.semantic.model import SymbolKind
from made_kernel import MadeKernel, kernel
from made_semantic import MadeSemantic

FILE = "virt/kvm/kvm_main.c"
OLD, NEW, OTHER = kernel("6.12.1"), kernel("7.3.1"), kernel("7.3.1", arch="arm64")


def kvm(*, moved: str = FILE, prototype: str = "void kick(int);") -> MadeKernel:
    """``outer`` has a copy of ``kick``, which calls ``wake`` twice in line 12; ``kick`` has code of its own
    too, and stands in a function of another file."""
    made = MadeKernel()
    made.image()
    unit, other = made.unit(moved), made.unit("kernel/other.c")
    kick = made.function("kick", moved, 10, external=True, prototype=prototype)
    outer = made.function("outer", moved, 20)
    wake = made.function("wake", "kernel/sched/core.c", 5, external=True)
    far = made.function("far", "kernel/other.c", 7)
    made.function("declared", moved, 30, external=True)
    own = made.instance(kick, unit, address=0x100, inlined=True)
    around = made.instance(outer, unit, address=0x200)
    distant = made.instance(far, other, address=0x300)
    target = made.instance(wake, other, address=0x400)
    made.symbol("kick", own, bind="STB_GLOBAL")
    made.symbol("outer.isra.0", around)
    made.symbol("wake", target, bind="STB_GLOBAL")
    made.call(own, wake, line=12)
    made.call(own, wake, line=12)
    made.call(around, kick, line=21, inline=True)
    made.call(around, wake, 1, line=12)
    made.call(around, wake, line=22)
    made.call(around, wake, line=8, file="include/linux/kvm_host.h")
    made.call(distant, kick, line=9, inline=True)
    made.call(distant, wake, 1, line=12)
    made.call(distant, wake, line=10)
    return made


def written(dataset: Path, made: MadeKernel) -> Store:
    made.write(dataset, NEW)
    return Store(dataset)


def places(store: Store) -> list[tuple[Kernel, Path]]:
    return [(m.kernel, store.directory(m.kernel.id)) for m in store.kernels()]


def told(call: WrittenCall) -> tuple[str, str, bool, int | None, int, tuple[str, ...]]:
    return call.callee, call.callee_file or "", call.inline, call.line, call.copies, call.holders


def facts(
    tmp_path: Path,
    seen: MadeSemantic | None = None,
    *,
    own: tuple[Kernel, ...] = (NEW,),
    **kernels: MadeKernel,
) -> PageFacts:
    identities = {"old": OLD, "new": NEW, "other": OTHER}
    store = Store(tmp_path)
    for name, made in kernels.items():
        made.write(tmp_path, identities[name])
    return page_facts(FILE, places(store), own=own, seen=None if seen is None else seen.made())


def text() -> MadeSemantic:
    made = MadeSemantic(FILE)
    made.define("kick", 10, 15)
    made.define("outer", 20, 25)
    wake = made.function("wake", declared="include/linux/sched.h:9")
    gone = made.function("gone", declared="include/linux/sched.h:10")
    made.call(wake, 12, "kick")
    made.call(made.function("kick", at=f"{FILE}:10"), 21, "outer")
    made.call(wake, 22, "outer")
    made.call(gone, 23, "outer")
    made.call(gone, 24, "outer", macro="WARN")
    return made


def marks(found: PageFacts, line: int) -> list[tuple[str, CallOutcome, tuple[Kernel, ...], int, bool]]:
    return [(m.callee, m.outcome, m.kernels, m.copies, m.by_line) for m in found.marks[line].calls]


def on(found: PageFacts, name: str, kernel: Kernel) -> FunctionOnKernel:
    return next(one for one in found.functions[name].kernels if one.kernel == kernel)


class TestWrittenCalls:
    def test_a_call_is_counted_in_all_copies_of_its_text(self, tmp_path: Path) -> None:
        (rows,) = functions_written(FILE, (), places(written(tmp_path, kvm())))
        assert rows.units == 1
        assert [one.name for one in rows.functions] == ["declared", "kick", "outer"]
        calls = {(c.line, c.file): told(c) for c in rows.calls}
        wake = "kernel/sched/core.c"
        assert calls[12, None] == ("wake", wake, False, 12, 4, ("kick", "outer", "far"))
        assert calls[21, None] == ("kick", FILE, True, 21, 1, ("outer",))
        assert calls[22, None] == ("wake", wake, False, 22, 1, ("outer",))
        assert calls[8, "include/linux/kvm_host.h"][0] == "wake"
        # That of another file's own text is not here.
        assert (10, None) not in calls

    def test_callers_are_told_from_those_who_hold_copies(self, tmp_path: Path) -> None:
        (rows,) = functions_written(FILE, (), places(written(tmp_path, kvm())))
        assert {(c.name, c.inline, c.unit, c.copies) for c in rows.callers} == {
            ("outer", True, FILE, 1),
            ("far", True, "kernel/other.c", 1),
        }

    def test_what_is_called_in_inlined_functions_has_these_around_it(self, tmp_path: Path) -> None:
        (rows,) = callees_of(["outer"], places(written(tmp_path, kvm())))
        assert {(c.callee, c.inline, c.line, c.chain) for c in rows.calls} == {
            ("kick", True, 21, ()),
            ("wake", False, 12, ("kick",)),
            ("wake", False, 22, ()),
            ("wake", False, 8, ()),
        }

    @pytest.mark.parametrize("file", ["", "nowhere.c", "../../etc/passwd", "\udcff"])
    def test_a_file_that_nobody_compiled_has_nothing(self, tmp_path: Path, file: str) -> None:
        (rows,) = functions_written(file, ["never"], places(written(tmp_path, kvm())))
        assert (rows.units, rows.functions, rows.calls) == (0, (), ())

    def test_row_groups_make_no_difference(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from ksurf.dataset import schema

        whole = functions_written(FILE, (), places(written(tmp_path / "a", kvm())))
        for name in ("FUNCTIONS", "INSTANCES", "CALL_SITES", "SYMBOLS"):
            table = schema.TABLES[name.lower()]
            monkeypatch.setitem(schema.TABLES, name.lower(), _small(table))
        small = functions_written(FILE, (), places(written(tmp_path / "b", kvm())))
        assert small == whole


def _small(table: object) -> object:
    from dataclasses import replace

    return replace(table, rows_per_group=2)  # type: ignore[type-var]


class TestFunctions:
    def test_where_a_function_is(self, tmp_path: Path) -> None:
        found = facts(tmp_path, text(), new=kvm())
        kick, outer = on(found, "kick", NEW), on(found, "outer", NEW)
        assert (kick.is_compiled, kick.is_inlined, kick.out_of_line) == (True, True, True)
        assert [(c.function, c.outcome) for c in kick.callers] == [
            ("outer", CallOutcome.INLINED),
            ("far", CallOutcome.INLINED),
        ]
        assert (outer.is_inlined, outer.out_of_line, outer.symbols) == (False, True, ("outer.isra.0",))

    def test_one_without_an_instance_is_not_compiled(self, tmp_path: Path) -> None:
        found = on(facts(tmp_path, new=kvm()), "declared", NEW)
        assert (found.is_compiled, found.is_inlined, found.out_of_line) == (False, None, None)
        assert found.reason == "only declared: no image that could be read defines it"

    def test_one_that_the_configuration_leaves_out(self, tmp_path: Path) -> None:
        seen = text()
        seen.define("elsewhere", 40)
        found = on(facts(tmp_path, seen, new=kvm()), "elsewhere", NEW)
        assert found.is_compiled is False
        assert found.reason is not None and "its file is compiled without it" in found.reason

    def test_a_file_that_is_not_compiled(self, tmp_path: Path) -> None:
        empty = MadeKernel()
        empty.image()
        empty.unit("kernel/other.c")
        found = facts(tmp_path, text(), new=kvm(), other=empty)
        assert on(found, "kick", OTHER).reason == "its file is not compiled for this kernel"
        assert on(found, "kick", OTHER).is_compiled is False

    def test_without_debug_information_nothing_is_claimed(self, tmp_path: Path) -> None:
        blind = MadeKernel()
        blind.image(evidence="symtab")
        found = on(facts(tmp_path, text(), new=kvm(), other=blind), "kick", OTHER)
        assert (found.is_compiled, found.is_inlined, found.out_of_line) == (None, None, None)

    def test_a_file_that_was_moved_since(self, tmp_path: Path) -> None:
        found = facts(tmp_path, text(), old=kvm(moved="virt/kvm/arm/kvm_main.c"), new=kvm())
        assert on(found, "outer", OLD).is_compiled
        assert on(found, "outer", OLD).reason == "in virt/kvm/arm/kvm_main.c there"

    def test_another_static_function_of_the_name_is_another(self, tmp_path: Path) -> None:
        found = facts(tmp_path, text(), old=kvm(moved="drivers/net/tun.c"), new=kvm())
        assert on(found, "outer", OLD).is_compiled is False
        assert on(found, "kick", OLD).is_compiled  # external: it can only be this one, moved

    def test_what_changed_in_the_series(self, tmp_path: Path) -> None:
        found = facts(tmp_path, text(), old=kvm(prototype="void kick(long cpu);"), new=kvm())
        (change,) = found.functions["kick"].changes
        assert (change.old, change.new) == (OLD, NEW)
        assert change.changes[0].after is not None
        assert found.functions["outer"].changes == ()


class TestCalls:
    def test_lines_match_the_kernel_of_this_source(self, tmp_path: Path) -> None:
        found = facts(tmp_path, text(), new=kvm())
        assert marks(found, 12) == [("wake", CallOutcome.DIRECT, (NEW,), 4, True)]
        assert marks(found, 21) == [("kick", CallOutcome.INLINED, (NEW,), 1, True)]
        assert marks(found, 23) == [("gone", CallOutcome.ABSENT, (NEW,), 0, True)]

    def test_of_a_call_that_a_macro_makes_nothing_is_said_if_nothing_is_left(self, tmp_path: Path) -> None:
        assert 24 not in facts(tmp_path, text(), new=kvm()).marks

    def test_others_are_joined_by_function(self, tmp_path: Path) -> None:
        shifted = kvm()
        for site in shifted.call_sites:
            site["line"] += 100
        found = facts(tmp_path, text(), old=shifted, new=kvm())
        assert marks(found, 21) == [
            ("kick", CallOutcome.INLINED, (OLD,), 1, False),
            ("kick", CallOutcome.INLINED, (NEW,), 1, True),
        ]
        assert 121 not in found.marks

    def test_what_only_the_binary_has_is_told(self, tmp_path: Path) -> None:
        made = kvm()
        guard = made.function("__stack_chk_fail", "kernel/panic.c", 3, external=True)
        made.call_sites.insert(6, {"caller": 1, "callee": guard, "depth": 0, "inline": False, "line": 25})
        assert marks(facts(tmp_path, text(), new=made), 25) == [
            ("__stack_chk_fail", CallOutcome.DIRECT, (NEW,), 1, True)
        ]

    def test_without_the_semantic_layer_the_binary_tells(self, tmp_path: Path) -> None:
        found = facts(tmp_path, new=kvm())
        assert marks(found, 12) == [("wake", CallOutcome.DIRECT, (NEW,), 4, True)]
        assert set(found.functions) == {"declared", "kick", "outer"}

    def test_no_kernel_of_this_source_no_lines(self, tmp_path: Path) -> None:
        assert facts(tmp_path, new=kvm(), own=()).marks == {}

    def test_no_kernels_at_all(self) -> None:
        assert page_facts(FILE, [], own=(), seen=text().made()).marks == {}


class TestDispatch:
    def seen(self) -> MadeSemantic:
        made = text()
        read = made.field("kvm_ops", "read")
        made.register(read, made.define("my_read", 50), 60, holder="my_ops")
        made.call(read, 14, "kick")
        return made

    def test_a_call_through_a_field_may_reach_what_is_stored_there(self) -> None:
        dispatch = Dispatch([file_dispatch(self.seen().made())], units=5640)
        field = Field("kvm_ops", "read")
        assert [one.function for one in dispatch.stored_in(field)] == ["my_read"]
        assert [(call.caller, str(call.place)) for call in dispatch.callers_of("my_read")] == [
            ("kick", f"{FILE}:14")
        ]
        assert [str(one.place) for one in dispatch.stores_of("my_read")] == [f"{FILE}:60"]
        assert dispatch.calls_in("kick") == (field,)
        assert dispatch.coverage == "1 of 5640 units"

    def test_fields_of_one_name_in_other_structs_are_others(self) -> None:
        made = self.seen()
        made.call(made.field("other_ops", "read"), 15, "outer")
        made.call(made.field(None, "read"), 16, "outer")
        assert [call.caller for call in Dispatch([file_dispatch(made.made())]).callers_of("my_read")] == [
            "kick"
        ]

    def test_an_object_that_is_stored_is_no_target(self) -> None:
        made = text()
        ops = made.symbol(SymbolKind.VARIABLE, "my_ops", at=f"{FILE}:60")
        made.register(made.field("kvm", "ops"), ops, 61)
        assert Dispatch([file_dispatch(made.made())]).stored_in(Field("kvm", "ops")) == ()

    def test_possible_ones_are_marked(self, tmp_path: Path) -> None:
        made = kvm()
        mine = made.function("my_read", FILE, 50)
        made.instance(mine, 0, address=0x500)
        found = facts(tmp_path, self.seen(), new=made)
        assert marks(found, 14) == [("my_read", CallOutcome.POSSIBLE, (NEW,), 1, True)]
        assert [(c.function, c.outcome) for c in on(found, "my_read", NEW).callers] == [
            ("kick", CallOutcome.POSSIBLE)
        ]
