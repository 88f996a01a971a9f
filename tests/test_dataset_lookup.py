"""Look-ups by name, on made kernels, whatever the row groups."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ksurf.dataset import schema
from ksurf.dataset.lookup import function_names, functions_named
from ksurf.dataset.query import connect, query
from ksurf.dataset.rows import CallSite, Frame, FunctionRows
from ksurf.dataset.store import Store
from ksurf.errors import DatasetError
from ksurf.kernel import Kernel
from made_kernel import MadeKernel, kernel, kvm_kernel, store_with

KERNEL = kernel()


def places(store: Store) -> list[tuple[Kernel, Path]]:
    return [(m.kernel, store.directory(m.kernel.id)) for m in store.kernels()]


def looked_up(store: Store, name: str, *, chains: bool = True) -> FunctionRows:
    (rows,) = functions_named([name], places(store), chains=chains)[name]
    return rows


def brief(site: CallSite) -> tuple[str, str | None, str | None, int | None]:
    return site.caller, site.unit, site.file, site.line


def test_a_function_with_everything_about_it(tmp_path: Path) -> None:
    rows = looked_up(store_with(tmp_path, KERNEL), "kvm_vcpu_kick")
    (function,), (instance,), (symbol,) = rows.functions, rows.instances, rows.symbols
    assert (function.decl_file, function.decl_line, function.external) == ("virt/kvm/kvm_main.c", 2551, True)
    assert (instance.image, instance.unit, instance.address) == ("kvm", "virt/kvm/kvm_main.c", 0x44B0)
    assert (symbol.name, symbol.image, symbol.section) == ("kvm_vcpu_kick", "kvm", ".text")
    assert symbol.instance == instance.id


def test_calls_have_their_place_and_the_inlined_calls_around_them(tmp_path: Path) -> None:
    rows = looked_up(store_with(tmp_path, KERNEL), "kvm_vcpu_kick")
    vmx = "arch/x86/kvm/vmx/vmx.c"
    # Without a file of its own a call is in the file of the function around it, inlined or not.
    assert [brief(site) for site in rows.call_sites] == [
        ("outer", vmx, vmx, 42),
        ("outer", vmx, "arch/x86/kvm/vmx/vmx.h", 53),
    ]
    assert [site.chain for site in rows.call_sites] == [(Frame("post", vmx, 52),), ()]


def test_without_chains_places_are_not_read(tmp_path: Path) -> None:
    rows = looked_up(store_with(tmp_path, KERNEL), "kvm_vcpu_kick", chains=False)
    assert [(site.caller, site.line, site.chain) for site in rows.call_sites] == [("outer", None, None)] * 2


def test_symbols_with_suffixes_belong_to_the_function(tmp_path: Path) -> None:
    rows = looked_up(store_with(tmp_path, KERNEL), "wake_up_process")
    assert [symbol.name for symbol in rows.symbols] == ["wake_up_process", "wake_up_process.cold"]


def test_several_names_and_kernels_come_in_their_order(tmp_path: Path) -> None:
    old, new = kernel("5.10.1"), kernel("7.3.1")
    store = store_with(tmp_path, new, old)
    found = functions_named(["outer", "nowhere"], places(store))
    assert [rows.kernel for rows in found["outer"]] == [old, new]
    assert [len(rows.instances) for rows in found["outer"]] == [1, 1]
    assert [rows.functions for rows in found["nowhere"]] == [(), ()]
    assert "kvm_vcpu_kick" in function_names(places(store)).to_pylist()


def deep_kernel() -> MadeKernel:
    """Many functions, each called at the bottom of four inlined calls that begin far before the call."""
    made = MadeKernel()
    made.image()
    unit = made.unit("lib/deep.c")
    target = made.function("target", "lib/target.c", external=True)
    noise = made.function("noise", "lib/noise.c", external=True)
    levels = [made.function(f"level_{depth}", f"lib/level_{depth}.h") for depth in range(4)]
    for number in range(20):
        caller = made.instance(made.function(f"caller_{number:02}", "lib/deep.c"), unit, address=number * 16)
        for depth, level in enumerate(levels):
            made.call(caller, level, depth, inline=True, line=100 + depth)
            for _ in range(5):
                made.call(caller, noise, depth + 1, line=1)
        made.call(caller, target, 4, line=number)
        # Calls after it, less deep, enclose nothing.
        made.call(caller, levels[0], 0, inline=True, line=999)
    return made


@pytest.mark.parametrize("size", [1, 3, 7, 64, 1 << 16])
def test_the_rows_are_the_same_whatever_the_size_of_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    for name, table in schema.TABLES.items():
        monkeypatch.setitem(schema.TABLES, name, replace(table, rows_per_group=size))
    deep_kernel().write(tmp_path, KERNEL)
    rows = looked_up(Store(tmp_path), "target")
    assert [(site.caller, site.line) for site in rows.call_sites] == [
        (f"caller_{number:02}", number) for number in range(20)
    ]
    files = ["lib/deep.c", "lib/level_0.h", "lib/level_1.h", "lib/level_2.h"]
    chain = tuple(Frame(f"level_{depth}", files[depth], 100 + depth) for depth in range(4))
    assert {site.chain for site in rows.call_sites} == {chain}
    assert {site.file for site in rows.call_sites} == {"lib/level_3.h"}


def test_a_kernel_that_goes_away_meanwhile_is_said(tmp_path: Path) -> None:
    store = store_with(tmp_path, KERNEL)
    gone = places(store)
    store.remove(KERNEL.id)
    with pytest.raises(DatasetError, match="gone while it was read"):
        functions_named(["outer"], gone)


@pytest.mark.parametrize("table", ["functions", "instances", "call_sites", "symbols"])
def test_a_damaged_table_is_one_clear_line(tmp_path: Path, table: str) -> None:
    store = store_with(tmp_path, KERNEL)
    path = store.directory(KERNEL.id) / f"{table}.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DatasetError, match=f"{table}.parquet") as caught:
        functions_named(["kvm_vcpu_kick"], places(store))
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_made_kernels_keep_the_schema(tmp_path: Path) -> None:
    sizes = kvm_kernel().write(tmp_path, KERNEL).tables
    assert {name: size.rows for name, size in sizes.items() if size.rows} == {
        "images": 3,
        "units": 3,
        "functions": 5,
        "instances": 6,
        "call_sites": 6,
        "symbols": 4,
    }


@pytest.mark.parametrize("size", [3, 1 << 16])
def test_sql_and_look_ups_tell_the_same_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    for name, table in schema.TABLES.items():
        monkeypatch.setitem(schema.TABLES, name, replace(table, rows_per_group=size))
    for identity, made in ((KERNEL, deep_kernel()), (kernel("7.3.1"), kvm_kernel())):
        made.write(tmp_path, identity)
    store = Store(tmp_path)
    for callee in ("target", "level_2", "kvm_vcpu_kick", "kvm_make_request"):
        found = functions_named([callee], places(store), chains=True)[callee]
        looked = {(rows.kernel.id, *brief(site)) for rows in found for site in rows.call_sites}
        statement = f"SELECT kernel, caller, unit, file, line FROM call_sites WHERE callee = '{callee}'"
        with connect(store) as connection:
            told = {row for batch in query(connection, statement).batches() for row in batch}
        assert told == looked
        assert told
