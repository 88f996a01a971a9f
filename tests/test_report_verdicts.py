"""What can be attached to tracepoints, system calls, hooks and kfuncs: pages and SQL say the same."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from ksurf.cli import run
from ksurf.dataset.manifest import Manifest
from ksurf.dataset.query import connect, query
from ksurf.dataset.store import Store
from ksurf.report.find import statuses_of
from ksurf.report.verdicts import with_verdicts
from ksurf.surface.attach_facts import judge
from made_kernel import bpf_kernel, kernel
from real_kernels import RealKernels

MECHANISMS = {
    "tracepoint": ("tracepoint", "raw_tp", "tp_btf"),
    "lsm": ("lsm",),
    "kfunc": ("kfunc call",),
    "syscall": ("ksyscall",),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Store:
    dataset = tmp_path_factory.mktemp("dataset")
    for number, version in enumerate(("6.1.5", "6.12.1")):
        made = bpf_kernel(number)
        made.unit("fs/read_write.c")
        entry = made.function("__x64_sys_read", "fs/read_write.c", external=True)
        made.symbol("__x64_sys_read", made.instance(entry, 0, address=1 << 20))
        made.write(dataset, kernel(version))
    return Store(dataset)


def told_by_sql(
    store: Store, manifests: Sequence[Manifest], kind: str
) -> dict[tuple[str, str, str], tuple[bool, set[str | None]]]:
    """By kernel, name and mechanism: whether it can be attached, and the reasons of those that answer so."""
    mechanisms = ", ".join(f"'{one}'" for one in MECHANISMS[kind])
    statement = (
        f"SELECT kernel, symbol, mechanism, attachable, reason FROM attachability "
        f"WHERE mechanism IN ({mechanisms}) ORDER BY attachable"
    )
    told: dict[tuple[str, str, str], tuple[bool, set[str | None]]] = {}
    with connect(store, manifests, statement=statement, judge=judge) as connection:
        for batch in query(connection, statement).batches(1 << 16):
            for kernel_id, name, mechanism, attachable, reason in batch:
                before, reasons = told.get((kernel_id, name, mechanism), (attachable, set()))
                told[kernel_id, name, mechanism] = (
                    attachable,
                    {*(reasons if before == attachable else ()), reason},
                )
    return told


def hold_against_sql(store: Store, manifests: Sequence[Manifest], kind: str) -> int:
    """Hold all names of a kind against SQL; how many answers there were."""
    places = [(m.kernel, store.directory(m.kernel.id)) for m in manifests]
    told = told_by_sql(store, manifests, kind)
    names = sorted({name for _, name, _ in told})
    found = with_verdicts(kind, statuses_of(kind, names, places), places)
    answers = {
        (status.kernel.id, name, mechanism.value): verdict
        for name, statuses in found.items()
        for status in statuses
        for mechanism, verdict in status.attach.items()
    }
    assert answers.keys() == told.keys()
    for key, verdict in answers.items():
        attachable, reasons = told[key]
        assert (verdict.attachable, verdict.reason in reasons) == (attachable, True), key
    return len(answers)


@pytest.mark.parametrize("kind", MECHANISMS)
def test_made_kernels(made: Store, kind: str) -> None:
    assert hold_against_sql(made, made.kernels(), kind) > 0


@pytest.mark.network
@pytest.mark.parametrize("kind", MECHANISMS)
@pytest.mark.parametrize("selector", ["debian:5.10-cloud-amd64", "debian:6.12-cloud-arm64"])
def test_real_kernels(real_kernels: RealKernels, kind: str, selector: str) -> None:
    pulled = real_kernels.pull(selector)
    store = Store(real_kernels.dataset)
    manifests = [manifest for manifest in store.kernels() if manifest.kernel == pulled.kernel]
    found = hold_against_sql(store, manifests, kind)
    assert found > 0 or (kind, pulled.kernel.base_version) == ("kfunc", "5.10")


def test_a_page_and_json_say_it(made: Store, capsys: pytest.CaptureFixture[str]) -> None:
    (name, *_) = sorted({name for _, name, _ in told_by_sql(made, made.kernels(), "kfunc")})
    arguments = ["show", "kfunc", name, "--dataset", str(made.path)]
    assert run(arguments) == 0
    assert "kfunc call" in capsys.readouterr().out
    assert run([*arguments, "--format", "json"]) == 0
    (symbol,) = json.loads(capsys.readouterr().out)["symbols"]
    attached = [one for entry in symbol["groups"][0]["kernels"] for one in entry["attach"]]
    assert {one["mechanism"] for one in attached} == {"kfunc call"}
    assert run([*arguments, "--format", "md"]) == 0
    assert "kfunc call" not in capsys.readouterr().out
