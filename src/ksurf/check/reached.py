"""What of eBPF objects is reached on a kernel.

They are relocated against its BTF and walked, as libbpf and the verifier would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from ksurf.check.core_relocation import KernelTypes, RelocationOutcome, RelocationStatus, outcomes, roots_of
from ksurf.check.dependency import Consumer, Kind
from ksurf.check.facts import Facts
from ksurf.check.rules import judge_case
from ksurf.check.rules.case import Case
from ksurf.check.verdict import Outcome
from ksurf.check.version import version_code
from ksurf.check.walked import Place, Relocated, Walk, Walked
from ksurf.dataset.lookup.table import in_parallel
from ksurf.progress import Reporter, Silent, Task

if TYPE_CHECKING:
    from ksurf.dataset.store import Store

__all__ = ["Walks"]

_COOKIE = "BPF_FUNC_get_attach_cookie"


class Walks:
    """eBPF objects walked on kernels."""

    def __init__(self, consumers: Sequence[Consumer], store: Store, reporter: Reporter | None = None) -> None:
        """Take those of the consumers that are eBPF objects, and can be relocated."""
        from ksurf import _core

        self._reporter = reporter or Silent()
        self._objects: list[Consumer] = []
        self._functions: list[list[str]] = []
        self._roots: set[str] = set()
        for one in consumers:
            with suppress(_core.ReadError):  # a damaged one, of which its reader has told that
                if one.data is not None:
                    names, roots = _function_names(one.data), roots_of(one.data)
                    self._objects.append(one)
                    self._functions.append(names)
                    self._roots |= roots
        self._numbers = {id(one): number for number, one in enumerate(self._objects)}
        self._store = store

    def __call__(self, facts: Sequence[Facts]) -> Walk:
        """Walk all of them on the kernels that the facts are of."""
        if not self._objects:
            found = []
        else:
            with self._reporter.task("Walking the programs", len(facts), "kernels") as task:
                found = in_parallel(self._counted(task), facts)
        by_kernel = {one.kernel: walked for one, walked in zip(facts, found, strict=False)}

        def walk(consumer: Consumer, one: Facts) -> Walked:
            number = self._numbers.get(id(consumer))
            return Walked() if number is None else by_kernel[one.kernel][number]

        return walk

    def _counted(self, task: Task) -> Callable[[Facts], list[Walked]]:
        done = count(1)

        def walk(facts: Facts) -> list[Walked]:
            walked = self._walk(facts)
            task.update(next(done))
            return walked

        return walk

    def _walk(self, facts: Facts) -> list[Walked]:
        """What is reached of each object on one kernel."""
        types = KernelTypes(self._store.directory(facts.kernel.id))
        if types.vmlinux is None:
            return [Walked()] * len(self._objects)
        modules = types.modules_with(self._roots)
        data = [one.data or b"" for one in self._objects]
        relocations = outcomes(data, types.vmlinux, modules)
        sites = self._sites(data, types.vmlinux, modules, facts)
        return [
            _joined(own, at, names)
            for own, at, names in zip(relocations, sites, self._functions, strict=True)
        ]

    def _sites(
        self, data: Sequence[bytes], vmlinux: Any, modules: Sequence[tuple[str, Any]], facts: Facts
    ) -> list[list[dict[str, Any]]]:
        """Of each object the rows of :func:`ksurf._core.core_walk`."""
        import pyarrow as pa

        from ksurf import _core

        columns = ("object", "function", "instruction", "relocation", "reached", "used", "refused")
        kconfig, symbols = _options(self._objects, facts), _symbols(self._objects, facts)
        stream = _core.core_walk(data, vmlinux, modules, kconfig=kconfig, symbols=symbols)
        table = pa.table(stream).select(columns)
        sites: list[list[dict[str, Any]]] = [[] for _ in data]
        for row in table.to_pylist():
            sites[row["object"]].append(row)
        return sites


def _joined(
    relocations: Sequence[RelocationOutcome], sites: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> Walked:
    """One object's outcomes: something is reached or used if one of the programs that have it does so."""
    reached: dict[int, bool] = {}
    used: dict[int, bool] = {}
    places: dict[tuple[str, int], Place] = {}
    for row in sites:
        number, key = row["relocation"], (names[row["function"]], row["instruction"])
        if number is not None:
            reached[number] = reached.get(number, False) or row["reached"]
            used[number] = used.get(number, False) or row["used"]
        before = places.get(key, Place(reached=False, used=False))
        places[key] = Place(
            before.reached or row["reached"], before.refused or row["refused"], before.used or row["used"]
        )
    resolved = {
        number: Relocated(
            resolved=one.status is RelocationStatus.RESOLVED,
            # Where libbpf refuses the object, it matters not where the instruction is.
            reached=one.status in _REFUSED or reached.get(number, False),
            reason=one.reason,
            used=used.get(number, False),
        )
        for number, one in enumerate(relocations)
    }
    return Walked(resolved, places)


_REFUSED = {RelocationStatus.AMBIGUOUS, RelocationStatus.REFUSED}


def _function_names(data: bytes) -> list[str]:
    """The names of an object's programs and other functions, by their numbers."""
    import pyarrow as pa

    from ksurf import _core

    programs = pa.table(_core.bpf_object(data).tables["programs"])
    names: list[str] = programs["name"].to_pylist()
    return names


def _symbols(objects: Sequence[Consumer], facts: Facts) -> dict[str, bool]:
    """Whether the kernel has what objects declare as ``__ksym``, as far as that is known."""
    found: dict[str, bool] = {}
    for consumer in objects:
        for one in consumer.dependencies:
            if one.kind in {Kind.KFUNC, Kind.KSYM}:
                ruling = judge_case(Case(one, consumer.kind, facts))
                known = one.kind is Kind.KFUNC or ruling.outcome is Outcome.BROKEN or not ruling.evidence
                if known:
                    found[one.name] = ruling.outcome is not Outcome.BROKEN
    return found


def _options(objects: Sequence[Consumer], facts: Facts) -> dict[str, str | None]:
    """The values of ``__kconfig`` variables; ``None`` of what is not known of the kernel."""
    options: dict[str, str | None] = dict(_of_libbpf(facts))
    for consumer in objects:
        for one in consumer.dependencies:
            if one.kind is Kind.CONFIG:
                status = facts.config.get(one.name)
                if not facts.has_config:
                    options[one.name] = None
                elif status is not None and status.is_present:
                    options[one.name] = status.variants[0].content.value.strip('"')
    return options


def _of_libbpf(facts: Facts) -> dict[str, str]:
    """What libbpf finds out by itself about the kernel that runs (``bpf_object__resolve_externs``)."""
    helpers = facts.enumerators("bpf_func_id") or {}
    native = facts.syscalls.native
    return {
        "LINUX_KERNEL_VERSION": str(version_code(facts.kernel)),
        "LINUX_HAS_BPF_COOKIE": "y" if _COOKIE in helpers else "n",
        "LINUX_HAS_SYSCALL_WRAPPER": "y" if any(row.entry.startswith("__") for row in native) else "n",
    }
