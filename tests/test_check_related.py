"""What follows from something else of a program, what stands for another, and what has alternatives."""

from __future__ import annotations

import pytest

from ksurf.check.alternatives import with_alternatives
from ksurf.check.dependency import ConsumerKind, Dependency, Guard, Kind, Use
from ksurf.check.related import explained_absence, is_nowhere, is_placeholder, linked
from ksurf.check.verdict import Finding, Outcome, Suggestion
from ksurf.kernel import Kernel
from ksurf.surface.attach import Mechanism
from made_facts import NEW, OLD, absent, facts, function

OK, GUARDED, PARTIAL = Outcome.OK, Outcome.GUARDED, Outcome.PARTIAL
CHANGED, BROKEN = Outcome.CHANGED, Outcome.BROKEN
KPROBE, FENTRY = Mechanism.KPROBE, Mechanism.FENTRY


def finding(
    kind: Kind, name: str, outcome: Outcome, mechanism: Mechanism | None = None, on: Kernel = NEW
) -> Finding:
    told = (Suggestion("do"),) if outcome is BROKEN else ()
    return Finding(on, Dependency(kind, name, mechanism), outcome, f"{name} is {outcome.value}", (), told)


def followed(*findings: Finding) -> list[tuple[str, str | None]]:
    """Of each its outcome, and the name of what it follows."""
    return [(one.outcome.value, one.follows.name if one.follows else None) for one in linked(findings)]


@pytest.mark.parametrize(
    ("hook", "own", "expected"),
    [
        (BROKEN, BROKEN, ("broken", "f")),
        (BROKEN, CHANGED, ("changed", "f")),
        (GUARDED, BROKEN, ("guarded", "f")),
        (GUARDED, CHANGED, ("guarded", "f")),
        (PARTIAL, CHANGED, ("changed", None)),
        (OK, BROKEN, ("broken", None)),
        (BROKEN, OK, ("ok", None)),
    ],
)
def test_a_parameter_follows_what_is_attached_to(
    hook: Outcome, own: Outcome, expected: tuple[str, str | None]
) -> None:
    found = followed(finding(Kind.FUNCTION, "f", hook, KPROBE), finding(Kind.PARAMETER, "f::0", own, KPROBE))
    assert found[1] == expected


def test_what_is_read_of_an_event_follows_the_event() -> None:
    event = finding(Kind.TRACEPOINT, "a:b", GUARDED)
    field = finding(Kind.TRACEPOINT_FIELD, "a:b::c", BROKEN)
    read = linked([event, field])[1]
    assert (read.outcome, read.follows, read.consequence) == (GUARDED, event.dependency, "a:b is guarded")
    assert read.suggestions == ()


def test_a_field_that_an_event_has_not_follows_nothing() -> None:
    found = followed(finding(Kind.TRACEPOINT, "a:b", OK), finding(Kind.TRACEPOINT_FIELD, "a:b::c", BROKEN))
    assert found[1] == ("broken", None)


def test_each_mechanism_is_followed_by_its_own() -> None:
    hooks = [finding(Kind.FUNCTION, "f", GUARDED, FENTRY), finding(Kind.FUNCTION, "f", OK, KPROBE)]
    reads = [finding(Kind.PARAMETER, "f::0", BROKEN, one) for one in (FENTRY, KPROBE, None)]
    # Who does not tell by which it is attached may be attached by the one that works.
    assert followed(*hooks, *reads)[2:] == [("guarded", "f"), ("broken", None), ("broken", None)]


def test_other_kernels_are_other_findings() -> None:
    found = followed(
        finding(Kind.FUNCTION, "f", BROKEN, KPROBE, OLD), finding(Kind.PARAMETER, "f::0", CHANGED, KPROBE)
    )
    assert found[1] == ("changed", None)


def test_a_part_follows_the_whole_that_is_not_there() -> None:
    found = followed(
        finding(Kind.STRUCT, "s", BROKEN),
        finding(Kind.FIELD, "s::a", BROKEN),
        finding(Kind.FIELD, "s::a.b", BROKEN),
        finding(Kind.FIELD, "t::a", BROKEN),
        finding(Kind.ENUM, "e", BROKEN),
        finding(Kind.ENUMERATOR, "e::E", BROKEN),
    )
    assert [name for _, name in found] == [None, "s", "s::a", None, None, "e"]
    # It may be reached although the whole is asked for elsewhere.
    assert followed(finding(Kind.STRUCT, "s", GUARDED), finding(Kind.FIELD, "s::a", BROKEN))[1][1] is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dummy_file_read", True),
        ("foo", True),
        ("handle_entry", True),
        ("dummy_kretprobe", True),
        ("blk_start_request", False),
        ("zpl_read", False),
        ("handle_mm_fault", False),
        ("_", False),
    ],
)
def test_names_that_stand_for_others(name: str, expected: bool) -> None:
    assert is_placeholder(name) is expected


def test_what_no_kernel_has_is_nowhere() -> None:
    without, has = facts(functions={"f": absent()}), facts(OLD, functions={"f": function("f", "f.isra.0")})
    assert is_nowhere("f", [without, without])
    assert not is_nowhere("f", [without, has])
    # System calls have an entry's name on each architecture.
    assert not is_nowhere("__x64_sys_open", [without, without])


def test_an_absence_everywhere_is_explained() -> None:
    told = explained_absence(finding(Kind.FUNCTION, "foo", BROKEN, KPROBE), ConsumerKind.BPF_OBJECT, 1)
    assert told.outcome is GUARDED and told.suggestions == ()
    assert "bpf_program__set_attach_target" in told.consequence
    for name, consumer in (("zpl_read", ConsumerKind.BPF_OBJECT), ("foo", ConsumerKind.BCC)):
        told = explained_absence(finding(Kind.FUNCTION, name, BROKEN, KPROBE), consumer, 2)
        assert told.outcome is BROKEN and "a module from elsewhere" in told.evidence[-1]
    # One kernel alone tells nothing of others.
    alone = finding(Kind.FUNCTION, "zpl_read", BROKEN, KPROBE)
    assert explained_absence(alone, ConsumerKind.BPF_OBJECT, 1) is alone


def hooks(*mechanisms: Mechanism, kind: Kind = Kind.FUNCTION, guard: Guard | None = None) -> list[Dependency]:
    return [Dependency(kind, "f", one, (Use(one.value, guard=guard),)) for one in mechanisms]


def test_programs_of_an_object_that_see_the_same_are_alternatives() -> None:
    first, second = with_alternatives(hooks(FENTRY, KPROBE))
    for one, other in ((first, KPROBE), (second, FENTRY)):
        guard = one.uses[0].guard
        assert guard is not None
        assert [(c.kind, c.name, c.holds, c.mechanism) for c in guard.instead] == [
            (Kind.FUNCTION, "f", True, other)
        ]
        assert guard.text == f"the object's {other.value} for it"
        assert guard.catch is not None and "bpf_program__set_autoload" in guard.catch
    events = with_alternatives(hooks(Mechanism.TP_BTF, Mechanism.RAW_TP, kind=Kind.TRACEPOINT))
    assert all(one.uses[0].guard is not None for one in events)


def test_entry_and_exit_are_no_alternatives() -> None:
    held = hooks(FENTRY, Mechanism.FEXIT, Mechanism.FMOD_RET)
    assert with_alternatives(held) == tuple(held)


def test_a_choice_of_the_loader_is_a_guard_already() -> None:
    held = hooks(FENTRY, KPROBE, guard=Guard('SEC("?fentry/f")'))
    assert with_alternatives(held) == tuple(held)


def test_registers_of_another_architecture_are_said_once() -> None:
    registers = [finding(Kind.FIELD, f"pt_regs::{name}", BROKEN) for name in ("di", "si", "ax")]
    other = finding(Kind.FIELD, "pt_regs::di", BROKEN, on=OLD)
    found = followed(*registers, other, finding(Kind.FIELD, "s::a", BROKEN))
    assert [name for _, name in found] == [None, "pt_regs::di", "pt_regs::di", None, None]
