"""What is known of attaching to every symbol of a kernel: few combinations of facts, and whose each is.

These are the facts that :mod:`ksurf.dataset.query.attachability` gathers for SQL, gathered by Arrow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, reduce
from typing import Any, NamedTuple

from ksurf.dataset.lookup.table import values_of
from ksurf.dataset.rows import BtfId, Marks
from ksurf.surface.attach import CodeFacts, Mechanism, Verdict, attach_code, features_of

__all__ = [
    "ASKS",
    "ATTRIBUTES",
    "BITS",
    "VMLINUX",
    "Facts",
    "Side",
    "Symbols",
    "array",
    "number_names",
    "parameters",
    "repeated",
    "rows_where",
]

ATTRIBUTES = ("ftrace", "kprobe_blacklist", "error_injection", "init")
"""The facts that are columns of ``symbols``."""

BITS = {mechanism: 1 << at for at, mechanism in enumerate(Mechanism)}
"""What stands for a mechanism in a mask of those that can be attached."""

ASKS = 1 << len(BITS)
"""In a mask beside them: it would make a difference which parameters the function has."""

VMLINUX = "vmlinux"


class Facts(NamedTuple):
    """Facts of each symbol: the number of a combination, and the combinations."""

    numbers: Any
    values: Sequence[Mapping[str, Any]]

    def filter(self, mask: Any) -> Facts:
        """Those of some of the symbols."""
        return self._replace(numbers=self.numbers.filter(mask))

    def __and__(self, other: Facts) -> Facts:
        """These facts and those, of the same symbols."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if len(other.values) == 1:
            return self._replace(values=[{**own, **other.values[0]} for own in self.values])
        size = len(other.values)
        mixed = pc.add(pc.multiply(self.numbers, size), other.numbers).dictionary_encode()
        pairs = (divmod(number, size) for number in mixed.dictionary.to_pylist())
        values = [{**self.values[own], **other.values[more]} for own, more in pairs]
        return Facts(mixed.indices.cast(pa.int64()), values)


class Symbols(NamedTuple):
    """Some of a kernel's symbols, those of one name together."""

    names: Any
    places: Any
    """Names in images."""
    facts: Facts

    def filter(self, mask: Any) -> Symbols:
        """Some of them."""
        return Symbols(self.names.filter(mask), self.places.filter(mask), self.facts.filter(mask))


class Side:
    """One kernel's tables, as Arrow has them, and what follows from them."""

    def __init__(self, tables: Mapping[str, Any], marks: Marks) -> None:
        """Take the tables; :func:`number_names` has to follow."""
        self.tables = tables
        self.features = features_of(marks)
        self.images: list[str] = tables["images"]["name"].to_pylist()
        self.prototypes = rows_where(
            tables["types"], ["name", "image", "definition"], kind="func", evidence="btf"
        )
        """The functions in BTF."""
        self.btf_ids = [
            BtfId(**{**row, "image": self.images[row["image"]]}) for row in tables["btf_ids"].to_pylist()
        ]
        self.names: dict[str, Any] = {}
        """Names as numbers, by whose they are: :func:`number_names` gives them."""
        self.words: Any = None
        """The name of each number."""

    def _place_of(self, names: Any, images: Any) -> Any:
        """One number for a name in an image."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wide = pc.multiply(names.cast(pa.int64()), len(self.images))
        return pc.add(wide, images.combine_chunks().cast(pa.int64()))

    @cached_property
    def _places(self) -> Any:
        """Of each symbol the name and the image."""
        return self._place_of(self.names["symbols"], self.tables["symbols"]["image"])

    @cached_property
    def _prototype_places(self) -> Any:
        """Of each function in BTF the name and the image."""
        return self._place_of(self.names["prototypes"], self.prototypes["image"])

    @cached_property
    def in_vmlinux(self) -> Any:
        """Which symbols are in vmlinux."""
        import pyarrow.compute as pc

        own = array([at for at, name in enumerate(self.images) if name == VMLINUX], "int32")
        return pc.is_in(self.tables["symbols"]["image"], value_set=own).combine_chunks()

    @cached_property
    def symbols(self) -> Symbols:
        """All symbols, with all facts but for parameters."""
        import pyarrow as pa

        table = self.tables["symbols"]
        nothing = Facts(array([0], "int64").take(pa.repeat(0, table.num_rows)), [{}])
        found = [_coded(name, table[name].combine_chunks()) for name in ATTRIBUTES]
        found += [self._namesakes(), self._btf_functions(), self._listed()]
        return Symbols(self.names["symbols"], self._places, reduce(Facts.__and__, found, nothing))

    def _namesakes(self) -> Facts:
        import pyarrow.compute as pc

        names = self.names["symbols"]
        several = pc.is_in(names, value_set=repeated(names))
        own, places, is_main = (
            column.filter(several).to_pylist() for column in (names, self._places, self.in_vmlinux)
        )
        here = Counter(places)
        main = Counter(name for name, yes in zip(own, is_main, strict=True) if yes)
        counts = {
            place: here[place] - 1 + (0 if yes else main[name])
            for name, place, yes in zip(own, places, is_main, strict=True)
        }
        return _coded("namesakes", _looked_up(counts, self._places, 0))

    def _btf_functions(self) -> Facts:
        import pyarrow as pa
        import pyarrow.compute as pc

        places = self._prototype_places
        once = pc.is_in(self._places, value_set=places).cast(pa.int64())
        again = repeated(places)
        if not len(again):  # nearly always
            return Facts(once, [{"btf_functions": 0}, {"btf_functions": 1}])
        several = Counter(places.filter(pc.is_in(places, value_set=again)).to_pylist())
        return _coded("btf_functions", _looked_up(several, self._places, once))

    def _listed(self) -> Facts:
        """What the sets of BTF ids and the name say, in whatever image the symbol is."""
        import pyarrow.compute as pc

        security = pc.starts_with(self.words, "security_")
        found = dict.fromkeys(pc.indices_nonzero(security).to_pylist(), (False, False, True))
        for name, row in zip(self.names["btf_ids"].to_pylist(), self.btf_ids, strict=True):
            if row.kind == "func":
                denied, no_return, modify_return = found.get(name, (False, False, False))
                found[name] = (
                    denied or row.set == "btf_id_deny",
                    no_return or row.set == "noreturn_deny",
                    modify_return or row.registered_as == "fmod_ret" or "fmodret" in row.set,
                )
        kinds = list(dict.fromkeys([(False, False, False), *found.values()]))
        number_of = {kind: number for number, kind in enumerate(kinds)}
        numbers = _looked_up(
            {name: number_of[kind] for name, kind in found.items()}, self.names["symbols"], 0
        )
        facts = ("denied", "no_return", "modify_return")
        return Facts(numbers, [dict(zip(facts, kind, strict=True)) for kind in kinds])

    def prototypes_at(self, places: Any) -> list[tuple[int, int]]:
        """The functions in BTF of these names in these images: the place and the definition of each."""
        import pyarrow.compute as pc

        own = pc.is_in(self._prototype_places, value_set=places)
        keys = values_of(self.prototypes["definition"].filter(own))
        return list(zip(self._prototype_places.filter(own).to_pylist(), keys, strict=True))

    def judged(self, facts: Facts) -> list[dict[Mechanism, Verdict]]:
        """The verdicts about each combination. Without parameters it is taken for a function of none."""
        return [attach_code(_code_facts(one), self.features) for one in facts.values]

    def masks(self, facts: Facts) -> Any:
        """Of each symbol what can be attached, as the bits of mechanisms, and :data:`ASKS`."""
        masks = []
        for one, verdicts in zip(facts.values, self.judged(facts), strict=True):
            mask = sum(BITS[mechanism] for mechanism, verdict in verdicts.items() if verdict.attachable)
            if attach_code(_code_facts({**one, "variadic": True}), self.features) != verdicts:
                mask |= ASKS
            masks.append(mask)
        return array(masks, "int64").take(facts.numbers)


def number_names(sides: Sequence[Side]) -> Any:
    """Give each name a number, the same on all sides; the names, as Arrow has them."""
    import pyarrow as pa

    columns = [
        (side, whose, column)
        for side in sides
        for whose, column in (
            ("symbols", side.tables["symbols"]["name"]),
            ("prototypes", side.prototypes["name"]),
            ("btf_ids", side.tables["btf_ids"]["name"]),
            ("entries", side.tables["syscalls"]["entry"]),
        )
    ]
    chunks = [chunk for _, _, column in columns for chunk in column.chunks]
    coded = pa.chunked_array([*chunks, array([""], "string")]).dictionary_encode().chunks
    numbers = pa.concat_arrays([chunk.indices for chunk in coded])
    words = coded[-1].dictionary
    start = 0
    for side, whose, column in columns:
        side.names[whose] = numbers.slice(start, len(column))
        side.words = words
        start += len(column)
    return words


def parameters(
    places: Any, prototypes: Iterable[tuple[int, int]], takes: Mapping[int, tuple[int, bool]]
) -> Facts:
    """The facts about parameters of the symbols at these places, by what each definition takes."""
    counts: dict[int, int] = {}
    variadic: dict[int, int] = {}
    for place, key in prototypes:
        count, is_variadic = takes.get(key, (0, False))
        counts[place] = max(count, counts.get(place, 0))
        variadic[place] = max(int(is_variadic), variadic.get(place, 0))
    kinds = [{"variadic": False}, {"variadic": True}]
    return _coded("parameters", _looked_up(counts, places, 0)) & Facts(_looked_up(variadic, places, 0), kinds)


def array(values: Iterable[Any], type_: Any) -> Any:
    """An Arrow array of the type."""
    import pyarrow as pa

    return pa.array(list(values), type_)


def rows_where(table: Any, columns: Sequence[str], **values: str) -> Any:
    """Some columns of the rows that have these values in others, of which none is null."""
    import pyarrow.compute as pc

    mask = reduce(pc.and_, (pc.equal(table[name], value) for name, value in values.items()))
    return table.select(columns).filter(mask)


def repeated(numbers: Any) -> Any:
    """Those that stand several times in a row."""
    import pyarrow.compute as pc

    return numbers[1:].filter(pc.equal(numbers[1:], numbers[:-1]))


def _coded(fact: str, column: Any) -> Facts:
    """One fact of each symbol."""
    import pyarrow as pa

    coded = column.dictionary_encode(null_encoding="encode")
    return Facts(coded.indices.cast(pa.int64()), [{fact: value} for value in coded.dictionary.to_pylist()])


def _looked_up(found: Mapping[int, int], numbers: Any, otherwise: Any) -> Any:
    """What is found for each number, or something else."""
    import pyarrow.compute as pc

    places = pc.index_in(numbers, value_set=array(found, numbers.type))
    return pc.coalesce(array(found.values(), "int64").take(places), otherwise)


def _code_facts(facts: Mapping[str, Any]) -> CodeFacts:
    known = {"parameters": 0, "variadic": False, **facts}
    return CodeFacts(**{**known, "parameters": known["parameters"] if known["btf_functions"] else None})
