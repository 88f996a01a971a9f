"""What plots show, computed from made datasets."""

from __future__ import annotations

import csv
import io
import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

import made_check
from ksurf import plot
from ksurf.check.verdict import Outcome
from ksurf.cli import run
from ksurf.dataset.lookup import functions_named, read_tables
from ksurf.dataset.store import Store
from ksurf.errors import InputError
from ksurf.plot.model.availability import Cell
from ksurf.plot.model.churn import Count
from ksurf.plot.model.figure import kernels_text
from ksurf.plot.model.inlining import TABLES, names_of
from ksurf.plot.model.struct_growth import LIMIT, hole_bytes
from ksurf.series import Groups, default_baseline, group
from ksurf.surface.function import judge
from made_kernel import MadeKernel, kernel, kvm_kernel, offering_kernel
from made_types import member, struct


def opened(dataset: Path, baseline: str | None = None) -> tuple[Store, Groups]:
    store = Store(dataset)
    kernels = [manifest.kernel for manifest in store.kernels()]
    named = [one for one in kernels if baseline in (one.arch, one.flavor)]
    return store, group(kernels, named[-1] if named else default_baseline(kernels))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A series of three, and one each of another architecture, flavor and distribution."""
    dataset = tmp_path / "dataset"
    for number, version in enumerate(("5.10.1", "6.1.5", "6.12.1")):
        offering_kernel(number).write(dataset, kernel(version))
    offering_kernel().write(dataset, kernel("6.12.1", arch="arm64"))
    offering_kernel().write(dataset, kernel("6.12.1", flavor="rt"))
    return dataset


# Churn


def test_churn_counts_what_differs_between_neighbours(dataset: Path) -> None:
    figure = plot.churn(*opened(dataset), kinds=("config", "struct", "syscall"))
    assert figure.kinds == ("struct", "syscall", "config")
    assert [(step.old.label, step.new.label) for step in figure.steps] == [("5.10", "6.1"), ("6.1", "6.12")]
    for step in figure.steps:
        assert step.counts == (
            Count("struct", 0, 0, 1),
            Count("syscall", 0, 0, 0),
            Count("config", 0, 0, 1),
        )
    assert "debian amd64 cloud 5.10.1, 6.1.5, 6.12.1" in figure.facts


def test_churn_says_what_nothing_is_known_of(tmp_path: Path) -> None:
    old, new = offering_kernel(), offering_kernel(1)
    del old.others["config"]
    old.write(tmp_path / "dataset", kernel("6.1.5"))
    new.write(tmp_path / "dataset", kernel("6.12.1"))
    figure = plot.churn(*opened(tmp_path / "dataset"), kinds=("config",))
    assert figure.steps[0].counts == (Count("config", None, None, None, (kernel("6.1.5").id,)),)
    (row,) = figure.rows()
    assert (row["added"], row["removed"], row["changed"]) == (None, None, None)


def test_a_single_kernel_has_no_step(dataset: Path) -> None:
    with pytest.raises(InputError, match="no step between versions: debian_") as caught:
        plot.churn(*opened(dataset, "arm64"))
    assert caught.value.hint == "--baseline debian:cloud-amd64 plots a series of 3 kernels"


def test_without_any_series_there_is_something_to_pull(tmp_path: Path) -> None:
    offering_kernel().write(tmp_path / "dataset", kernel("6.1.5"))
    with pytest.raises(InputError) as caught:
        plot.churn(*opened(tmp_path / "dataset"))
    assert caught.value.hint == "ksurf pull debian:VERSION-cloud-amd64 fetches another"


def test_from_one_distribution_to_another_is_no_step(dataset: Path) -> None:
    store, groups = opened(dataset)
    other = groups.regular[0]._replace(kernel=replace(kernel("4.19.1"), distro="ubuntu"))
    mixed = groups._replace(regular=(other, *groups.regular))
    assert len(plot.churn(store, mixed, kinds=("syscall",)).steps) == 2


def test_the_numbers_name_a_command_that_tells_them(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = plot.churn(*opened(dataset), kinds=("struct", "config"))
    for row in figure.rows():
        program, *words = shlex.split(str(row["source"]))
        assert program == "ksurf"
        assert run([*words, "--dataset", str(dataset)]) == 0
        (found,) = json.loads(capsys.readouterr().out)["kinds"]
        for word in ("added", "removed", "changed"):
            assert row[word] == len(found[word])


# Inlining


def test_inlining_judges_names_as_the_surface_does(tmp_path: Path) -> None:
    made = kvm_kernel()
    unit = made.unit("mm/slub.c")
    shared = made.function("shared", "mm/slub.c", 5)
    code = made.instance(shared, unit, address=0x100, inlined=True)
    made.symbol("shared.constprop.0.isra.0", code)
    made.symbol("shared.isra.0.cold", code, address=0x200)
    part = made.function("only_cold", "mm/slub.c", 9)
    made.symbol("only_cold.cold", made.instance(part, unit, address=0x300))
    made.function("declared_only", "mm/slub.c", 11)
    dark = made.image("dark", evidence="symtab")
    unknown = made.instance(made.function("unknown", None, None), made.unit("x.c", dark), address=0x10)
    made.instances[unknown].update(inlined=None, unit=None)
    made.symbol("unknown.part.0", unknown)
    dataset = tmp_path / "dataset"
    made.write(dataset, kernel())
    store, groups = opened(dataset)
    directory = store.directory(kernel().id)

    (tables,) = read_tables([directory], TABLES)
    names = names_of(tables)
    inlined = names.inlined()
    every = ["declared_only", *inlined]
    for name, (rows,) in functions_named(every, [(kernel(), directory)]).items():
        status = judge(rows)
        assert status.is_present == (name in inlined), name
        if status.is_present:
            assert status.inline is inlined[name], name
        assert set(status.suffixes) == names.suffixes.get(name, set()), name

    (shares,) = plot.inlining(store, groups).shares
    assert dict(shares.kinds) == {
        "out of line only": 4,  # kvm_vcpu_kick, outer, wake_up_process, only_cold
        "selectively inlined": 1,
        "fully inlined": 2,  # kvm_make_request, post
        "not told": 1,
    }
    assert (shares.functions, shares.transformed) == (8, 2)
    assert dict(shares.suffixes) == {"constprop": 1, "isra": 1, "part": 1}


def test_the_query_of_inlining_tells_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = tmp_path / "dataset"
    made = kvm_kernel()
    made.symbol("outer.isra.0", 4, address=0x90)
    made.symbol(".outer.constprop.0.cold", 4, address=0xA0)
    made.write(dataset, kernel())
    rows = list(plot.inlining(*opened(dataset)).rows())
    found = {}
    for source in {str(row["source"]) for row in rows}:
        assert run([*shlex.split(source)[1:], "--format", "csv", "--dataset", str(dataset)]) == 0
        for line in csv.DictReader(io.StringIO(capsys.readouterr().out)):
            found[tuple(value for key, value in line.items() if key != "names")] = int(line["names"])
    assert found == {
        ("True", "False", "True"): 3,
        ("True", "True", "False"): 2,
        ("isra",): 1,
        ("",): 1,
    }
    assert [(row["measure"], row["functions"], row["percent"]) for row in rows] == [
        ("out of line only", 3, 60.0),
        ("selectively inlined", 0, 0.0),
        ("fully inlined", 2, 40.0),
        ("not told", 0, 0.0),
        ("transformed", 1, 20.0),
        (".isra", 1, 20.0),
    ]


def test_a_kernel_without_functions_has_no_shares(dataset: Path) -> None:
    figure = plot.inlining(*opened(dataset))
    assert [one.column.group for one in figure.shares] == ["Regular"] * 3 + ["Arch", "Flavor"]
    assert {one.functions for one in figure.shares} == {0}
    assert {row["percent"] for row in figure.rows()} == {None}


# Struct growth


def test_struct_growth_has_sizes_and_holes(dataset: Path) -> None:
    more = offering_kernel(3)
    more.struct("list_head", ("u8", "a", 0, 1), ("u64", "b", 8, 8), ("u8", "c", 16, 1))
    more.type("struct", "later", evidence="btf", byte_size=4)
    more.type("struct", "declared")
    more.write(dataset, kernel("7.1.1"))
    figure = plot.struct_growth(*opened(dataset), ["kvm", "later", "twin", "later", "declared", "nothing"])
    assert [one.name for one in figure.structs] == ["kvm", "later", "twin"]
    assert figure.missing == ("declared", "nothing")
    kvm, later, twin = figure.structs
    assert [size and (size.byte_size, size.image) for size in kvm.sizes] == [(48, "kvm")] * 4
    assert [size and (size.byte_size, size.hole_bytes) for size in later.sizes] == [None, None, None, (4, 4)]
    assert {size and size.definitions for size in twin.sizes} == {2}
    assert "twin" in figure.notes[-1]
    rows = list(figure.rows())
    assert len(rows) == 12
    assert rows[4] == {
        "struct": "later",
        "label": "5.10",
        "kernel": kernel("5.10.1").id,
        "byte_size": None,
        "hole_bytes": None,
        "definitions": None,
        "image": None,
        "source": f"ksurf show struct later --on {kernel('5.10.1').id} --format json",
    }


def test_too_many_structs_are_refused(dataset: Path) -> None:
    with pytest.raises(InputError, match=f"{LIMIT + 1} structs"):
        plot.struct_growth(*opened(dataset), [f"s{number}" for number in range(LIMIT + 1)])


def test_holes_are_bytes_that_no_field_covers() -> None:
    plain = struct("s", member("u8 a", offset=0, size=1), member("u64 b", offset=8, size=8), size=24)
    assert hole_bytes(plain) == 7 + 8
    nested = struct(
        "s",
        member("union", offset=0, size=8),
        member("u64 whole", depth=1, offset=0, size=8),
        member("u8 first", depth=1, offset=0, size=1),
        member("struct", offset=8, size=8),
        member("u8 a", depth=1, offset=8, size=1),
        member("u32 b", depth=1, offset=12, size=4),
        size=16,
    )
    assert hole_bytes(nested) == 3
    bits = struct("s", member("u8 a:3", offset=0, size=1), member("u8 b", offset=1, size=1), size=2)
    assert hole_bytes(bits) == 0
    assert hole_bytes(struct("s", member("u8 a", offset=0), size=4)) is None
    assert hole_bytes(struct("s", member("u8 a", size=1), size=4)) is None
    assert hole_bytes(struct("s")) is None
    assert hole_bytes(struct("s", size=0)) == 0
    assert hole_bytes(struct("s", member("u8 a", offset=8, size=8), size=4)) == 8


# Availability


def test_availability_has_the_findings_of_a_check() -> None:
    page = made_check.page()
    figure = plot.availability(page)
    assert [column.label for column in figure.columns] == [column.label for column in page.columns]
    assert [program.name for program in figure.programs] == ["biotop", "odd & <list>", "vfsstat"]
    biotop = figure.programs[0]
    assert [row.title for row in biotop.rows] == [
        "kprobe blk_account_io_start",
        "field inode::i_atime",
        "field task_struct::__state",
        "tracepoint sched:sched_switch",
    ]
    hook = dict(zip([column.kernel for column in figure.columns], biotop.rows[0].cells, strict=True))
    consequence = "the program is refused at attach: it is inlined everywhere"
    assert hook[made_check.MIDDLE] == Cell(Outcome.BROKEN, False, "function-inlined", consequence)
    assert hook[made_check.ARM] == Cell(Outcome.BROKEN, True, "function-inlined", consequence)
    assert hook[made_check.OLD] == Cell(Outcome.OK)
    rows = list(figure.rows())
    assert len(rows) == 7 * 5
    old = made_check.OLD.id
    assert rows[0]["source"] == f"ksurf check build/biotop --on {old} --baseline {old} --format json"


def test_a_limit_leaves_out_the_best_of_each_program() -> None:
    figure = plot.availability(made_check.page(), 3)
    assert [len(program.rows) for program in figure.programs] == [3, 0, 0]
    assert [program.dependencies for program in figure.programs] == [4, 2, 1]
    assert (figure.left_out, figure.left_out_ok) == (4, 2)
    (note,) = figure.notes
    assert note == "The worst are shown; 4 more dependencies are not, of which 2 are ok on all kernels."


# Numbers


def test_numbers_as_csv_and_json(dataset: Path) -> None:
    figure = plot.churn(*opened(dataset), kinds=("struct",))
    lines = list(csv.DictReader(io.StringIO(plot.numbers_csv(figure))))
    assert [(line["old"], line["new"], line["changed"]) for line in lines] == [
        ("5.10", "6.1", "1"),
        ("6.1", "6.12", "1"),
    ]
    document = json.loads(plot.numbers_json(figure))
    assert (document["schema"], document["plot"]) == ("ksurf.plot", "churn")
    assert [one["label"] for one in document["kernels"]] == ["5.10", "6.1", "6.12"]
    assert document["rows"] == [dict(row) for row in figure.rows()]


def test_kernels_are_named_in_a_line() -> None:
    amd64 = [kernel(f"6.{number}.1") for number in range(9)]
    arm64 = [kernel("6.1.5", arch="arm64"), kernel("6.12.1", arch="arm64")]
    columns = [plot.Column("Regular", "x", one) for one in (*amd64, *arm64)]
    assert (
        kernels_text(columns) == "debian amd64 cloud 6.0.1 to 6.8.1 (9 versions); arm64 cloud 6.1.5, 6.12.1"
    )
    many = [plot.Column("Flavor", "x", kernel("6.1.5", flavor=f"f{number}")) for number in range(9)]
    assert kernels_text(many).endswith("amd64 f5 6.1.5; and 3 more")


def test_every_figure_names_its_fields(dataset: Path) -> None:
    store, groups = opened(dataset)
    for figure in (
        plot.churn(store, groups),
        plot.inlining(store, groups),
        plot.struct_growth(store, groups, ["kvm"]),
        plot.availability(made_check.page()),
    ):
        assert all(tuple(row) == figure.fields for row in figure.rows())


def test_an_empty_made_kernel_is_no_trouble(tmp_path: Path) -> None:
    for version in ("6.1.5", "6.12.1"):
        MadeKernel().write(tmp_path / "dataset", kernel(version))
    store, groups = opened(tmp_path / "dataset")
    assert {count.added for count in plot.churn(store, groups, kinds=("function",)).steps[0].counts} == {0}
    assert plot.inlining(store, groups).shares[0].functions == 0
    assert plot.struct_growth(store, groups, ["kvm"]).missing == ("kvm",)
