"""What tells of a kernel's abilities, gathered once when it is written, for its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ksurf.dataset.rows import Marks

__all__ = ["FUNCTIONS", "marks_from_json", "marks_of", "marks_to_json"]

FUNCTIONS = (
    "arch_prepare_bpf_trampoline",
    "bpf_lsm_file_open",
    "calc_arg_aux",
    "get_nr_used_regs",
    "number_of_same_symbols",
    "register_fprobe_ips",
    "register_ftrace_direct",
)
"""Functions of vmlinux whose presence or binding tells what the kernel can do."""

_ATTACH_TYPES = "bpf_attach_type"


def marks_of(tables: Mapping[str, Any], arch: str) -> Marks:
    """Look through a kernel's tables, which are Arrow's."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def where(table: str, column: str, values: list[Any]) -> Any:
        """The rows with one of the values in a column."""
        data = tables[table]
        return data.filter(pc.is_in(data[column], value_set=pa.array(values, data.schema.field(column).type)))

    names = tables["images"]["name"].to_pylist()
    vmlinux = names.index("vmlinux") if "vmlinux" in names else None
    # A static function may be inlined everywhere; its definition tells of it all the same.
    static = [
        f["name"] for f in where("functions", "name", [*FUNCTIONS]).to_pylist() if f["external"] is False
    ]
    symbols = [s for s in where("symbols", "name", [*FUNCTIONS]).to_pylist() if s["image"] == vmlinux]
    own = tables["types"].filter(pc.equal(tables["types"]["image"], -1 if vmlinux is None else vmlinux))
    enums = own.filter(pc.and_(pc.equal(own["name"], _ATTACH_TYPES), pc.equal(own["kind"], "enum")))
    members = where("members", "definition", enums["definition"].to_pylist())["name"].to_pylist()
    return Marks(
        {**dict.fromkeys(static, "STB_LOCAL"), **{s["name"]: s["bind"] for s in symbols}},
        frozenset(name for name in members if name is not None),
        bool(pc.any(pc.equal(own["evidence"], "btf")).as_py()),
        arch,
    )


def marks_to_json(marks: Marks) -> dict[str, Any]:
    """The marks as a manifest has them."""
    return {"binds": dict(marks.binds), "attach_types": sorted(marks.attach_types), "btf": marks.btf}


def marks_from_json(document: Mapping[str, Any], arch: str) -> Marks:
    """The marks of a manifest; :class:`KeyError` or :class:`TypeError` if they are none."""
    return Marks(dict(document["binds"]), frozenset(document["attach_types"]), bool(document["btf"]), arch)
