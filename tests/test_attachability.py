"""Attachability of two kernels compared by Arrow, held against what SQL says of the same kernels."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from random import Random

import pytest

from ksurf.dataset.lookup import kernel_marks
from ksurf.dataset.query import connect, query
from ksurf.dataset.query.connection import literal
from ksurf.dataset.store import Store
from ksurf.kernel import Kernel
from ksurf.report.attachability import EVERY_FUNCTION, attachability_diff
from ksurf.surface.attach import Mechanism, Verdict, attach_any, features_of
from ksurf.surface.attach_change import AttachabilityLost, AttachabilityWon, compare_attachability
from ksurf.surface.attach_facts import judge
from ksurf.surface.change import Change
from made_kernel import MadeKernel, bpf_kernel, kernel
from real_kernels import RealKernels

OLD, NEW = kernel("6.1.1"), kernel("6.12.1")

_STATEMENT = """
    WITH verdicts AS (
        SELECT kernel, symbol, mechanism, bool_or(attachable) AS attachable,
               coalesce(min(reason) FILTER (NOT attachable), '') AS reason
        FROM attachability GROUP BY ALL
    )
    SELECT o.symbol, o.mechanism, o.attachable, o.reason, n.attachable, n.reason
    FROM verdicts o JOIN verdicts n ON n.symbol = o.symbol AND n.mechanism = o.mechanism
    WHERE o.kernel = {old} AND n.kernel = {new} AND o.attachable <> n.attachable
    ORDER BY o.symbol"""
_ORDER = [mechanism.value for mechanism in Mechanism]


def whole_kernel(store: Store, old: Kernel, new: Kernel) -> tuple[AttachabilityLost | AttachabilityWon, ...]:
    """What only one of the kernels can do at all."""
    marks = kernel_marks([(kernel, store.directory(kernel.id)) for kernel in (old, new)])
    return tuple(compare_attachability(*(attach_any(features_of(own)) for own in marks)))


def by_sql(store: Store, old: Kernel, new: Kernel) -> dict[str, tuple[Change, ...]]:
    """The changes of each name, as the view ``attachability`` has them."""
    manifests = [manifest for manifest in store.kernels() if manifest.kernel in {old, new}]
    statement = _STATEMENT.format(old=literal(old.id), new=literal(new.id))
    with connect(store, manifests, statement=statement, judge=judge) as connection:
        rows = [row for batch in query(connection, statement).batches(1 << 16) for row in batch]
    whole = whole_kernel(store, old, new)
    rows = [row for row in rows if Mechanism(row[1]) not in {change.mechanism for change in whole}]
    found: dict[str, tuple[Change, ...]] = {EVERY_FUNCTION: whole} if whole else {}
    for name, own in groupby(rows, key=lambda row: str(row[0])):
        ordered = sorted(own, key=lambda row: _ORDER.index(row[1]))
        before = {Mechanism(row[1]): Verdict(row[2], row[3]) for row in ordered}
        after = {Mechanism(row[1]): Verdict(row[4], row[5]) for row in ordered}
        found[name] = tuple(compare_attachability(before, after))
    return found


def by_arrow(store: Store, old: Kernel, new: Kernel) -> dict[str, tuple[Change, ...]]:
    diff = attachability_diff(*((kernel, store.directory(kernel.id)) for kernel in (old, new)))
    assert not diff.added
    assert not diff.removed
    return {entry.name: entry.changes for entry in diff.changed}


def any_kernel(random: Random) -> MadeKernel:
    """A kernel of few names, each of which is anything: code in several images, in BTF, in sets, a hook."""
    made = bpf_kernel(random.randrange(2))
    images = [*range(len(made.images)), made.image("ext4")]
    units = [made.unit(f"{image}.c", image) for image in images]
    names = [f"f{number}" for number in range(40)] + ["security_a", "security_b"]
    hooks = [f"bpf_lsm_{hook}" for hook in ("file_open", "task_free")]
    abilities = ["register_ftrace_direct", "number_of_same_symbols", "bpf_lsm_file_open", "get_nr_used_regs"]

    def code(name: str, image: int, **facts: object) -> None:
        function = made.function(name, f"{name}.c", len(made.functions))
        made.symbol(name, made.instance(function, units[image], address=16 * len(made.symbols)))
        made.symbols[-1].update(facts)

    code("arch_prepare_bpf_trampoline", 0, bind=random.choice(["STB_GLOBAL"] * 4 + ["STB_WEAK"]))
    code("register_fprobe_ips", 0, bind=random.choice(["STB_GLOBAL"] * 2 + ["STB_LOCAL"]))
    for ability in abilities:
        if random.random() < 0.8:
            code(ability, 0)
    for name in [*names, *names, *names[:8]]:
        if random.random() < 0.6:
            code(
                name,
                random.choice(images),
                ftrace=random.choice([True, True, True, False, None]),
                kprobe_blacklist=random.choice([None, None, None, "NOKPROBE_SYMBOL", ".noinstr.text"]),
                error_injection=random.choice([None, None, "EI_ETYPE_ERRNO"]),
                init=random.random() < 0.1,
            )
    for name in [*names, *names, *hooks]:
        if random.random() < 0.6:
            parameters = [
                {"type": "int", "name": f"p{at}"} for at in range(random.choice([0, 1, 6, 7, 12, 13]))
            ]
            more = random.choice([[], [], [{"type": "..."}]])
            evidence = random.choice(["btf", "btf", "btf", "dwarf"])
            made.type("func", name, [*parameters, *more], image=random.choice(images), evidence=evidence)
    sets = ["btf_id_deny", "noreturn_deny", "some_fmodret_ids", "bpf_lsm_hooks", "bpf_lsm_disabled_hooks"]
    for name in random.sample([*names, *hooks], 20):
        registered = random.choice([None, "kfunc", "fmod_ret"])
        kind = random.choice(["func", "func", "struct"])
        made.btf_id(random.choice(sets), name, image=random.choice(images), kind=kind)
        made.btf_id("kfuncs", name, kind=kind, set_flags=1, flags=0, registered_as=registered)
    for name in random.sample(names, 8):
        system = random.choice([None, "sched", "kvm"])
        made.tracepoint(system, name, image=random.choice(images), tracepoint=random.choice([None, name]))
        made.type("typedef", f"btf_trace_{name}", image=random.choice(images), type="void *")
    for number, name in enumerate(random.sample(names, 12)):
        made.add(
            "syscalls",
            abi=random.choice(["32", "64", "x32"]),
            number=100 + number,
            name=f"s{number}",
            entry=name,
        )
    return made


@pytest.mark.parametrize("seed", range(5))
def test_made_kernels(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    for identity in (OLD, NEW):
        any_kernel(random).write(tmp_path, identity)
    store = Store(tmp_path)
    found = by_arrow(store, OLD, NEW)
    assert found == by_sql(store, OLD, NEW)
    assert found


def test_kernels_of_nothing(tmp_path: Path) -> None:
    nothing = MadeKernel()
    nothing.image()
    nothing.write(tmp_path, OLD)
    any_kernel(Random(0)).write(tmp_path, NEW)
    store = Store(tmp_path)
    for pair in ((OLD, NEW), (NEW, OLD), (NEW, NEW)):
        found = by_arrow(store, *pair)
        assert found.keys() <= {EVERY_FUNCTION}
        assert found == by_sql(store, *pair)


def test_parameters_alone_decide(tmp_path: Path) -> None:
    """A prototype is read where it differs, and where symbols of one name get another of those there are."""
    for identity, counts in ((OLD, (12, 13)), (NEW, (13, 12))):
        made = bpf_kernel()
        units = [made.unit("a.c"), made.unit("b.c", 1)]
        for name in ("register_ftrace_direct", "arch_prepare_bpf_trampoline", "get_nr_used_regs"):
            made.symbol(
                name, made.instance(made.function(name, "a.c"), units[0], address=16), bind="STB_GLOBAL"
            )
        for name, image in (("grown", 0), ("shared", 0), ("shared", 1)):
            address = 16 * (3 + len(made.symbols))
            made.symbol(name, made.instance(made.function(name, f"{image}.c"), units[image], address=address))
            # Only one of the two can be attached to: which of the two is told by its prototype.
            made.symbols[-1]["ftrace"] = image == 0
        for name, image, count in (
            ("grown", 0, counts[0]),
            ("shared", 0, counts[0]),
            ("shared", 1, counts[1]),
        ):
            made.prototype(name, "void", *(("int", f"p{at}") for at in range(count)), image=image)
        made.write(tmp_path, identity)
    store = Store(tmp_path)
    found = by_arrow(store, OLD, NEW)
    assert found == by_sql(store, OLD, NEW)
    assert set(found) == {"grown", "shared"}
    reasons = {change.details()["reason"] for change in found["grown"]}
    assert reasons == {"it has 13 parameters, a trampoline takes 12"}


@pytest.mark.network
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("5.10-cloud-amd64", "6.1-cloud-amd64"),
        ("6.1-cloud-amd64", "6.12-cloud-amd64"),
        ("6.12-cloud-amd64", "7.3-cloud-amd64"),
        ("6.1-cloud-arm64", "6.12-cloud-arm64"),
        ("6.12-cloud-amd64", "6.12-cloud-arm64"),
        ("6.12-ppc64el", "6.12-riscv64"),
    ],
)
def test_real_kernels(real_kernels: RealKernels, old: str, new: str) -> None:
    before, after = (real_kernels.pull(f"debian:{selector}").kernel for selector in (old, new))
    store = Store(real_kernels.dataset)
    found = by_arrow(store, before, after)
    assert found == by_sql(store, before, after)
    assert len(found) > 100
