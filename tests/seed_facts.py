"""What a report of a symbol states, fact by fact: what a page on the same symbol must state too.

The kinds of facts are those of the reports after which ksurf's own were made: status, collision, inlining,
transformation, prototypes, definitions with their place and address, who inlines and who calls them, symbols
with their range and binding; of a struct its fields, and along a series what was added, removed and changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

__all__ = ["Fact", "changes_of_fields", "facts_of_function", "facts_of_struct"]


class Fact(NamedTuple):
    """A kind of fact, and the words of which all must be in one place of a page."""

    kind: str
    words: tuple[str, ...]


def facts_of_function(status: Mapping[str, Any]) -> Iterator[Fact]:
    """Those of a function on one kernel, as ``ksurf show function --format json`` gives it."""
    yield Fact("status", tuple(status["statuses"]) or ("Absent" if not status["present"] else "OK",))
    if not status["present"]:
        return
    yield Fact("collision", (status["collision"],))
    yield Fact("inline", (f"inline: {status['inline']}",))
    yield Fact(
        "transformation", ("transformed:", *(status["suffixes"] if status["transformation"] else ("no",)))
    )
    for prototype in status["prototypes"]:
        yield Fact("prototype", (prototype,))
    for instance in status["instances"]:
        address = instance["address"] if instance["address"] is not None else instance["inline_address"]
        place = () if address is None else (f"({address:x})",)
        yield Fact("location", (f"{instance['file']}:{instance['line']}", instance["unit"], *place))
        for way, word in (("inline_callers", "inlined into"), ("direct_callers", "called by")):
            for caller in instance[way]:
                chain = tuple(frame["function"] for frame in caller["chain"])
                yield Fact(way, (word, caller["function"], *chain))
    for symbol in status["symbols"]:
        ends = f"{symbol['address']:x}-{symbol['address'] + symbol['byte_size']:x}"
        yield Fact("symbol", (symbol["name"], ends, symbol["bind"]))


def facts_of_struct(status: Mapping[str, Any]) -> Iterator[Fact]:
    """Those of a struct on one kernel; its fields one below the other."""
    yield Fact("status", tuple(status["statuses"]) or ("Absent" if not status["present"] else "OK",))
    for definition in status.get("definitions") or ():
        yield Fact("size", (f"{definition['byte_size']}",))
        for field in definition["fields"]:
            # Of a field in a nested struct the line has its own name; an array's length follows the name.
            name = field["path"].rpartition(".")[2].partition("[")[0]
            if "(anon)" not in field["type"] and name:
                yield Fact("field", (str(field["bit_offset"] // 8), name))


def changes_of_fields(statuses: Sequence[Mapping[str, Any]]) -> Iterator[Fact]:
    """What became of the fields of a struct from each kernel of a series to the next that has it."""
    series = [
        {field["path"]: field["type"] for field in status["definitions"][0]["fields"]}
        for status in statuses
        if status["present"]
    ]
    for old, new in pairwise(series):
        for path in sorted(new.keys() - old.keys()):
            yield Fact("Field added", (path.partition("[")[0],))
        for path in sorted(old.keys() - new.keys()):
            yield Fact("Field removed", (path.partition("[")[0],))
        for path in sorted(old.keys() & new.keys()):
            if old[path] != new[path]:
                yield Fact("Field type changed", (_declared(old[path], path), _declared(new[path], path)))


def _declared(type_: str, name: str) -> str:
    """A field as changes name it: ``struct kvm_vcpu * vcpus[288]``."""
    plain, _, rest = type_.partition(" [")
    return f"{plain} {name}[{rest}" if rest else f"{type_} {name}"
