"""The rules by which a function is judged, one test each, and what holds for all rows alike."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksurf.dataset.rows import CallSite, Function, FunctionRows, Instance, Symbol
from ksurf.kernel import Kernel
from ksurf.surface.function import Collision, FunctionStatus, InlineKind, Status, judge, suffixes

KERNEL = Kernel.from_release("6.12.1+deb13-amd64", version="6.12.1-1")
STATIC = Function(0, "f", None, "include/linux/f.h", 7, False, True, "int f(void);")
GLOBAL = Function(1, "f", None, "kernel/f.c", 9, True, False, "int f(void);")


def instance(
    number: int,
    function: Function,
    *,
    unit: int | None = None,
    image: str = "vmlinux",
    evidence: str = "dwarf",
    inlined: bool | None = False,
    address: int | None = None,
) -> Instance:
    """A definition that has code if it has an address, in a unit of its own unless one is named."""
    unit = number if unit is None else unit
    path = None if evidence != "dwarf" else f"drivers/{unit}.c"
    return Instance(
        number,
        function.id,
        image,
        evidence,
        path,
        None if path is None else unit,
        inlined if evidence == "dwarf" else None,
        address is not None,
        address,
        None if address is None else 16,
        None if image == "vmlinux" else ".text",
        16 if inlined and evidence == "dwarf" else None,
    )


def symbol(name: str, of: Instance | None, *, address: int = 4096, bind: str = "STB_LOCAL") -> Symbol:
    """A symbol of an instance, or in vmlinux of nothing that is known."""
    if of is None:
        return Symbol(name, 0, None, "vmlinux", None, address, 16, bind, "STT_FUNC")
    return Symbol(name, of.function, of.id, of.image, of.section, of.address or address, 16, bind, "STT_FUNC")


def site(callee: Function, *, unit: int, inline: bool = False, image: str = "vmlinux") -> CallSite:
    return CallSite(
        callee.id, None, f"in_{unit}", image, f"drivers/{unit}.c", unit, inline, 0, None, None, None
    )


def judged(
    functions: list[Function],
    instances: list[Instance],
    symbols: list[Symbol] | None = None,
    sites: list[CallSite] | None = None,
) -> FunctionStatus:
    return judge(
        FunctionRows(
            KERNEL, "f", tuple(functions), tuple(instances), tuple(sites or ()), tuple(symbols or ())
        )
    )


# How many share the name


def test_one_external_definition_is_unique_global_and_ok() -> None:
    only = instance(0, GLOBAL, address=64)
    status = judged([GLOBAL], [only], [symbol("f", only, bind="STB_GLOBAL")])
    assert (status.collision, status.inline, status.statuses) == (Collision.UNIQUE_GLOBAL, InlineKind.NO, ())


def test_one_static_definition_is_unique_static() -> None:
    assert judged([STATIC], [instance(0, STATIC, address=64)]).collision is Collision.UNIQUE_STATIC


def test_one_place_compiled_in_two_units_is_duplication() -> None:
    status = judged([STATIC], [instance(0, STATIC, address=64), instance(1, STATIC, address=128)])
    assert status.collision is Collision.STATIC_DUPLICATION
    assert status.statuses == (Status.DUPLICATE,)


def test_one_place_in_two_images_is_duplication_too() -> None:
    status = judged(
        [STATIC], [instance(0, STATIC, inlined=True), instance(1, STATIC, image="kvm", inlined=True)]
    )
    assert status.collision is Collision.STATIC_DUPLICATION


def test_rows_of_one_place_with_other_prototypes_are_one_function() -> None:
    other = replace(STATIC, id=2, prototype="int f(struct config *c);")
    status = judged([STATIC, other], [instance(0, STATIC, address=64), instance(1, other, address=128)])
    assert status.collision is Collision.STATIC_DUPLICATION


def test_two_places_are_a_static_static_collision_even_if_one_is_compiled_twice() -> None:
    other = replace(STATIC, id=2, decl_file="fs/f.c")
    both = [instance(0, STATIC), instance(1, STATIC), instance(2, other)]
    status = judged([STATIC, other], both)
    assert status.collision is Collision.STATIC_STATIC
    assert status.statuses == (Status.COLLISION,)


def test_a_static_beside_an_external_is_a_static_global_collision() -> None:
    both = [instance(0, STATIC, address=64), instance(1, GLOBAL, address=128)]
    assert judged([STATIC, GLOBAL], both).collision is Collision.STATIC_GLOBAL


def test_a_static_beside_a_global_in_assembler_is_a_static_global_collision() -> None:
    static = instance(0, STATIC, address=64)
    symbols = [symbol("f", static), symbol("f", None, address=4096, bind="STB_GLOBAL")]
    assert judged([STATIC], [static], symbols).collision is Collision.STATIC_GLOBAL


def test_a_symbol_of_another_copy_is_no_further_definition() -> None:
    # The instance's one address is that of its clone; the plain symbol points to the other copy.
    only = instance(0, STATIC, address=64)
    symbols = [symbol("f.isra.0", only), symbol("f", None, address=128)]
    assert judged([STATIC], [only], symbols).collision is Collision.UNIQUE_STATIC


def test_externals_of_two_modules_are_a_global_global_collision() -> None:
    both = [instance(0, GLOBAL, image="a", address=0), instance(1, GLOBAL, image="b", address=0)]
    status = judged([GLOBAL], both, [symbol("f", i, bind="STB_GLOBAL") for i in both])
    assert status.collision is Collision.GLOBAL_GLOBAL
    assert status.statuses == (Status.COLLISION,)


def test_a_weak_default_that_the_linker_passed_over_does_not_count() -> None:
    weak = replace(GLOBAL, id=2, decl_file="init/weak.c")
    used, unused = instance(0, GLOBAL, address=64), instance(1, weak, address=128)
    calls = [site(weak, unit=9), site(GLOBAL, unit=8)]
    status = judged([GLOBAL, weak], [used, unused], [symbol("f", used, bind="STB_GLOBAL")], calls)
    assert status.collision is Collision.UNIQUE_GLOBAL
    assert [i.overridden for i in status.instances] == [False, True]
    # Whichever declaration a caller has seen, the name is the owner's.
    assert [len(i.direct_callers or ()) for i in status.instances] == [2, 0]
    assert status.definitions == (GLOBAL,)


# Where the body went


@pytest.mark.parametrize(
    ("inlined", "code", "kind", "said"),
    [
        (False, True, InlineKind.NO, ()),
        (True, True, InlineKind.SELECTIVE, (Status.SELECTIVE_INLINE,)),
        (True, False, InlineKind.FULL, (Status.FULL_INLINE,)),
    ],
)
def test_inline_kinds(inlined: bool, code: bool, kind: InlineKind, said: tuple[Status, ...]) -> None:
    status = judged([STATIC], [instance(0, STATIC, inlined=inlined, address=64 if code else None)])
    assert (status.inline, status.statuses) == (kind, said)


def test_code_of_one_unit_makes_the_inlining_of_another_selective() -> None:
    status = judged([STATIC], [instance(0, STATIC, inlined=True), instance(1, STATIC, address=64)])
    assert status.statuses == (Status.DUPLICATE, Status.SELECTIVE_INLINE)


def test_a_symbol_alone_is_code_and_a_cold_part_alone_is_none() -> None:
    gone = instance(0, STATIC, inlined=True)
    assert judged([STATIC], [gone], [symbol("f.constprop.0", None)]).inline is InlineKind.SELECTIVE
    assert judged([STATIC], [gone], [symbol("f.cold", None)]).inline is InlineKind.FULL


def test_a_copy_inside_itself_is_no_inlining() -> None:
    own = instance(3, STATIC, address=64, inlined=False)
    calls = [site(STATIC, unit=3, inline=True)._replace(caller="f"), site(STATIC, unit=3)]
    status = judged([STATIC], [own], sites=calls)
    assert status.inline is InlineKind.NO
    assert status.instances[0].inline_callers == ()
    assert [c.caller for c in status.instances[0].direct_callers or ()] == ["in_3"]


# Transformation


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("f", ()),
        ("f.isra.0", ("isra",)),
        ("f.constprop.0.isra.12", ("constprop", "isra")),
        ("f.cold", ("cold",)),
        ("f.part.0.cold.3", ("part", "cold")),
        ("f.llvm.1234567890", ("llvm",)),
        ("f.lto_priv.0", ("lto_priv",)),
        ("f.cfi_jt", ("cfi_jt",)),
        ("f.somenew.7", ("somenew",)),
        ("f.1234", ("1234",)),
        (".f", ()),
        (".f.isra.0", ("isra",)),
    ],
)
def test_suffixes(name: str, found: tuple[str, ...]) -> None:
    assert suffixes(name) == found


def test_unknown_suffixes_are_transformations_and_cold_is_none() -> None:
    only = instance(0, STATIC, address=64)
    split = judged([STATIC], [only], [symbol("f", only), symbol("f.cold", None)])
    assert (split.is_transformed, split.is_split, split.statuses) == (False, True, ())
    changed = judged([STATIC], [only], [symbol("f.isra.0", only), symbol("f.somenew.7", None)])
    assert (changed.suffixes, changed.statuses) == (("isra", "somenew"), (Status.TRANSFORMATION,))


def test_statuses_come_in_the_reports_order() -> None:
    both = [instance(0, STATIC, inlined=True, address=64), instance(1, STATIC, inlined=True)]
    status = judged([STATIC], both, [symbol("f.isra.0", both[0])])
    assert [found.value for found in status.statuses] == ["Duplicate", "Selective Inline", "Transformation"]


# What matters to whoever attaches


def test_a_duplicate_matters_to_an_attacher_only_with_two_symbols() -> None:
    both = [instance(0, STATIC, inlined=True, address=64), instance(1, STATIC, inlined=True)]
    one = judged([STATIC], both, [symbol("f", both[0])])
    assert (one.is_ambiguous, one.reasons) == (
        False,
        ("2 definitions, 1 symbol of this name: attaching by name is not ambiguous",),
    )
    both = [instance(0, STATIC, address=64), instance(1, STATIC, address=128)]
    two = judged([STATIC], both, [symbol("f", i) for i in both])
    assert two.is_ambiguous
    assert "2 symbols" in two.reasons[0]


# What is not known


def test_no_rows_are_absence() -> None:
    status = judged([], [])
    assert (status.statuses, status.is_present, status.reasons) == ((Status.ABSENT,), False, ())


def test_a_declaration_without_a_definition_is_absence_with_a_reason() -> None:
    status = judged([GLOBAL], [], sites=[site(GLOBAL, unit=1)])
    assert status.statuses == (Status.ABSENT,)
    assert status.reasons == ("only declared: no image that could be read defines it",)


@pytest.mark.parametrize("evidence", ["btf", "symtab"])
def test_without_dwarf_inlining_and_callers_are_unknown_and_never_no(evidence: str) -> None:
    function = replace(GLOBAL, decl_file=None, decl_line=None, declared_inline=None)
    only = instance(0, function, evidence=evidence, address=64)
    status = judged([function], [only], [symbol("f", only, bind="STB_GLOBAL")])
    assert status.is_present
    assert status.collision is Collision.UNIQUE_GLOBAL
    assert status.inline is None
    assert status.instances[0].inline_callers is None
    assert status.instances[0].direct_callers is None
    assert any("unknown" in reason for reason in status.reasons)


def test_btf_without_symbols_does_not_tell_static_from_global() -> None:
    function = replace(GLOBAL, decl_file=None, decl_line=None, external=None)
    assert judged([function], [instance(0, function, evidence="btf", address=64)]).collision is None


def test_images_with_dwarf_tell_of_inlining_where_others_do_not() -> None:
    both = [instance(0, STATIC, inlined=True), instance(1, STATIC, image="blob", evidence="btf", address=64)]
    assert judged([STATIC], both).inline is InlineKind.SELECTIVE


# Whose callers


def test_a_call_means_the_definition_of_its_own_unit() -> None:
    both = [instance(0, STATIC, address=64), instance(1, STATIC, address=128)]
    calls = [site(STATIC, unit=1), site(STATIC, unit=0), site(STATIC, unit=1)]
    status = judged([STATIC], both, sites=calls)
    assert [len(i.direct_callers or ()) for i in status.instances] == [1, 2]


def test_the_table_may_name_the_definition() -> None:
    both = [instance(0, STATIC, address=64), instance(1, STATIC, address=128)]
    status = judged([STATIC], both, sites=[site(STATIC, unit=0)._replace(callee_instance=1)])
    assert [len(i.direct_callers or ()) for i in status.instances] == [0, 1]


def test_a_call_by_name_means_its_own_image_then_vmlinux() -> None:
    both = [instance(0, GLOBAL, address=64), instance(1, GLOBAL, image="kvm", address=64)]
    symbols = [symbol("f", i, bind="STB_GLOBAL") for i in both]
    calls = [
        site(GLOBAL, unit=7, image="kvm"),
        site(GLOBAL, unit=8, image="vmlinux"),
        site(GLOBAL, unit=9, image="ext4"),
    ]
    status = judged([GLOBAL], both, symbols, calls)
    assert [[c.image for c in i.direct_callers or ()] for i in status.instances] == [
        ["vmlinux", "ext4"],
        ["kvm"],
    ]


# What holds for all rows

_FUNCTIONS = (STATIC, replace(STATIC, id=2, decl_file="fs/f.c"), GLOBAL, replace(GLOBAL, id=3, decl_line=99))


@st.composite
def rows(draw: st.DrawFn) -> FunctionRows:
    """Rows as a kernel may have them: any mix of definitions, images, symbols and calls."""
    count = draw(st.integers(0, 5))
    instances = [
        instance(
            number,
            draw(st.sampled_from(_FUNCTIONS)),
            image=draw(st.sampled_from(["vmlinux", "kvm", "ext4"])),
            evidence=draw(st.sampled_from(["dwarf", "dwarf", "btf"])),
            inlined=draw(st.booleans()),
            address=draw(st.none() | st.integers(0, 4).map(lambda n: n * 64)),
        )
        for number in range(count)
    ]
    names = st.sampled_from(["f", "f.cold", "f.isra.0", "f.part.0.cold"])
    binds = st.sampled_from(["STB_LOCAL", "STB_GLOBAL", "STB_WEAK"])
    of = st.sampled_from([None, *instances])
    symbols = [symbol(draw(names), draw(of), bind=draw(binds)) for _ in range(draw(st.integers(0, 4)))]
    calls = [
        site(draw(st.sampled_from(_FUNCTIONS)), unit=draw(st.integers(0, 6)), inline=draw(st.booleans()))
        for _ in range(draw(st.integers(0, 6)))
    ]
    return FunctionRows(KERNEL, "f", _FUNCTIONS, tuple(instances), tuple(calls), tuple(symbols))


@given(rows())
def test_the_statuses_follow_from_the_facts(given_rows: FunctionRows) -> None:
    status = judge(given_rows)
    said = set(status.statuses)
    assert status.is_present == bool(given_rows.instances or given_rows.symbols)
    assert list(status.statuses) == sorted(status.statuses, key=list(Status).index)
    assert not {Status.DUPLICATE, Status.COLLISION} <= said
    assert not {Status.FULL_INLINE, Status.SELECTIVE_INLINE} <= said
    if Status.ABSENT in said:
        assert said == {Status.ABSENT}
    if status.inline is InlineKind.FULL:
        assert not status.has_code
    assert (Status.TRANSFORMATION in said) == any(
        {"isra"} & set(suffixes(s.name)) for s in given_rows.symbols
    )


@given(rows())
def test_every_call_of_something_defined_is_at_exactly_one_definition(given_rows: FunctionRows) -> None:
    status = judge(given_rows)
    defined = {i.function for i in given_rows.instances}
    callable_by_name = any(f.external for f in _FUNCTIONS if f.id in defined)
    shown = [c for i in status.instances for c in (*(i.inline_callers or ()), *(i.direct_callers or ()))]
    sure = [c for c in given_rows.call_sites if c.callee in defined]
    assert all(shown.count(call) >= 1 for call in sure)
    assert len(shown) <= len(given_rows.call_sites)
    assert callable_by_name or len(shown) == len(sure)


@given(rows(), st.data())
def test_the_order_of_rows_changes_no_judgement(given_rows: FunctionRows, data: st.DataObject) -> None:
    shuffled = replace(
        given_rows,
        instances=tuple(data.draw(st.permutations(given_rows.instances))),
        functions=tuple(data.draw(st.permutations(given_rows.functions))),
        symbols=tuple(data.draw(st.permutations(given_rows.symbols))),
    )
    before, after = judge(given_rows), judge(shuffled)
    assert set(before.statuses) == set(after.statuses)
    assert (before.collision, before.inline) == (after.collision, after.inline)
