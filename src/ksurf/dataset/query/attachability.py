"""The view ``attachability``: facts of every symbol, joined with what a judge says of the few that differ.

The judgement is Python (:mod:`ksurf.surface.attach`), the symbols are millions: SQL gathers the facts about
each symbol, the judge is asked once about each combination of facts that occurs on a kernel, SQL joins them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ksurf.dataset.lookup import kernel_marks
from ksurf.dataset.rows import Marks
from ksurf.kernel import Kernel

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "ATTACHABILITY_VIEWS",
    "CODE_FACTS",
    "DEFINITIONS",
    "VIEW",
    "VIEWS",
    "Judge",
    "Subject",
    "make_tables",
    "make_verdicts",
]

VIEW = "attachability"
"""Its name."""

ATTACHABILITY_VIEWS = {VIEW: "one row per symbol, tracepoint, hook, kfunc or system call, and mechanism"}
"""What it is for."""

Subject = Literal["code", "syscall", "tracepoint", "hook", "kfunc"]
"""What facts are about."""

Judge = Callable[[Marks, Subject, Mapping[str, Any]], Iterable[tuple[str, bool, str | None]]]
"""Says of facts on a kernel: each mechanism's name, whether it can be attached, and the reason.

The facts' names are those of ``CodeFacts``, ``TracepointFacts``, ``HookFacts`` and ``KfuncFacts`` in
:mod:`ksurf.surface.attach`; a system call has the facts of the code that it leads to.
"""

# Of one kernel: its names and ids need no comparison with those of others.
CODE_FACTS = """
        SELECT {kernel} AS kernel, s.image_name AS image, s.name, {{
            'ftrace': s.ftrace, 'kprobe_blacklist': s.kprobe_blacklist,
            'error_injection': s.error_injection, 'init': s.init,
            'namesakes': s.here - 1 + CASE WHEN s.image_name = 'vmlinux' THEN 0 ELSE s.in_vmlinux END,
            'btf_functions': coalesce(p.functions, 0), 'parameters': p.parameters,
            'variadic': coalesce(p.variadic, false), 'denied': coalesce(l.denied, false),
            'no_return': coalesce(l.no_return, false),
            'modify_return': starts_with(s.name, 'security_') OR coalesce(l.modify_return, false)
        }} AS facts
        FROM (
            SELECT a.*, i.name AS image_name, count(*) OVER (PARTITION BY a.name, a.image) AS here,
                   count(*) FILTER (i.name = 'vmlinux') OVER (PARTITION BY a.name) AS in_vmlinux
            FROM {symbols} a JOIN {images} i ON i.id = a.image
        ) s
        LEFT JOIN (
            SELECT t.image, t.name, count(*) AS functions, max(coalesce(q.parameters, 0)) AS parameters,
                   bool_or(coalesce(q.variadic, false)) AS variadic
            FROM {types} t LEFT JOIN _parameters q ON q.definition = t.definition
            WHERE t.kind = 'func' AND t.evidence = 'btf' GROUP BY ALL
        ) p ON p.image = s.image AND p.name = s.name
        LEFT JOIN (
            SELECT name, bool_or(set = 'btf_id_deny') AS denied,
                   bool_or(set = 'noreturn_deny') AS no_return,
                   bool_or(registered_as = 'fmod_ret' OR contains(set, 'fmodret')) AS modify_return
            FROM {btf_ids} WHERE kind = 'func' GROUP BY ALL
        ) l ON l.name = s.name"""
"""The view ``_facts_code`` of one kernel."""

_PARAMETERS = """
        SELECT definition, count(*) AS parameters, bool_or(type = '...') AS variadic
        FROM members WHERE kind = 'func' GROUP BY ALL"""

_TRACEPOINT = """
        WITH shipped AS (SELECT DISTINCT kernel, image FROM types WHERE evidence = 'btf'),
        typedefs AS (
            SELECT DISTINCT kernel, image, name FROM types
            WHERE kind = 'typedef' AND starts_with(name, 'btf_trace_') AND evidence = 'btf'
        )
        SELECT t.kernel, t.image, coalesce(t.system || ':', '') || t.name AS name, {
            'event': t.system IS NOT NULL, 'tracepoint': t.tracepoint IS NOT NULL OR t.system IS NULL,
            'btf_typedef': CASE WHEN b.image IS NOT NULL THEN d.name IS NOT NULL END
        } AS facts
        FROM tracepoints t
        LEFT JOIN shipped b ON b.kernel = t.kernel AND b.image = t.image
        LEFT JOIN typedefs d ON d.kernel = t.kernel AND d.image = t.image
            AND d.name = 'btf_trace_' || coalesce(t.tracepoint, t.name)"""

_HOOK = """
        WITH functions_of_hooks AS (
            SELECT DISTINCT kernel, name FROM types
            WHERE kind = 'func' AND evidence = 'btf' AND image = 'vmlinux' AND starts_with(name, 'bpf_lsm_')
        ), listed AS (
            SELECT kernel, name, bool_or(set = 'bpf_lsm_hooks') AS listed,
                   bool_or(set = 'bpf_lsm_disabled_hooks') AS disabled
            FROM btf_ids WHERE set IN ('bpf_lsm_hooks', 'bpf_lsm_disabled_hooks') GROUP BY ALL
        )
        SELECT h.kernel, 'vmlinux' AS image, h.name, {
            'btf_function': f.name IS NOT NULL, 'listed': coalesce(l.listed, false),
            'disabled': coalesce(l.disabled, false)
        } AS facts
        FROM lsm_hooks h
        LEFT JOIN functions_of_hooks f ON f.kernel = h.kernel AND f.name = 'bpf_lsm_' || h.name
        LEFT JOIN listed l ON l.kernel = h.kernel AND l.name = 'bpf_lsm_' || h.name"""

_KFUNC = """
        WITH functions_in_btf AS (
            SELECT DISTINCT kernel, image, name FROM types WHERE kind = 'func' AND evidence = 'btf'
        ), together AS (
            SELECT kernel, image, name, string_agg(program_types, ' ' ORDER BY set) AS program_types
            FROM kfuncs GROUP BY ALL
        )
        SELECT k.kernel, k.image, k.name, {
            'btf_function': f.name IS NOT NULL,
            'program_types': list_sort(list_distinct(string_split(k.program_types, ' ')))
        } AS facts
        FROM together k
        LEFT JOIN functions_in_btf f ON f.kernel = k.kernel AND f.image = k.image AND f.name = k.name"""

# A program attaches to the entry of the kernel's own table; the others are for other sizes of pointers.
_SYSCALL = """
        SELECT s.kernel, c.image, s.name, c.facts
        FROM syscalls s JOIN _facts_code c ON c.kernel = s.kernel AND c.name = s.entry AND c.image = 'vmlinux'
        WHERE s.abi = (SELECT max(abi) FROM syscalls o WHERE o.kernel = s.kernel AND o.abi IN ('32', '64'))"""

_FACTS: dict[Subject, str] = {
    "syscall": _SYSCALL,
    "tracepoint": _TRACEPOINT,
    "hook": _HOOK,
    "kfunc": _KFUNC,
}

_SUBJECTS: tuple[Subject, ...] = ("code", *_FACTS)

DEFINITIONS = {
    **{f"_facts_{subject}": sql for subject, sql in _FACTS.items()},
    VIEW: " UNION ALL ".join(
        f"""
        SELECT f.kernel, f.image, f.name AS symbol, v.mechanism, v.attachable, v.reason
        FROM _facts_{subject} f JOIN _verdicts v
            ON v.subject = '{subject}' AND v.kernel = f.kernel AND v.facts = hash(f.facts)"""
        for subject in _SUBJECTS
    ),
}
"""The SQL of the views of facts beside ``_facts_code``, and of the one that is for people."""

VIEWS = {"_facts_code", *DEFINITIONS}
"""All of them."""


def make_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables that the views need; :func:`make_verdicts` fills them."""
    connection.execute('CREATE TABLE _parameters (definition UBIGINT, parameters BIGINT, "variadic" BOOLEAN)')
    connection.execute(
        "CREATE TABLE _verdicts (kernel VARCHAR, subject VARCHAR, facts UBIGINT, mechanism VARCHAR, "
        "attachable BOOLEAN, reason VARCHAR)"
    )


def make_verdicts(
    connection: duckdb.DuckDBPyConnection, kernels: Sequence[tuple[Kernel, Path]], judge: Judge
) -> None:
    """Ask the judge about all facts that occur."""
    import pyarrow as pa

    connection.execute(f"INSERT INTO _parameters {_PARAMETERS}")
    marks = dict(zip((kernel.id for kernel, _ in kernels), kernel_marks(kernels), strict=True))
    rows = []
    for subject in _SUBJECTS:
        distinct = connection.execute(
            f"SELECT kernel, hash(facts), any_value(facts) FROM _facts_{subject} GROUP BY ALL"
        )
        for kernel_id, key, facts in distinct.fetchall():
            rows += [
                (kernel_id, subject, key, *verdict) for verdict in judge(marks[kernel_id], subject, facts)
            ]
    if rows:
        types = (pa.string(), pa.string(), pa.uint64(), pa.string(), pa.bool_(), pa.string())
        columns = [
            pa.array(values, type_) for values, type_ in zip(zip(*rows, strict=True), types, strict=True)
        ]
        connection.register("_judged", pa.table(columns, names=[f"c{at}" for at in range(len(types))]))
        connection.execute("INSERT INTO _verdicts SELECT * FROM _judged")
        connection.unregister("_judged")
