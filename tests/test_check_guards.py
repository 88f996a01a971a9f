"""Guards and relocations: what becomes of a ruling in a consumer that copes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ksurf.check.dependency import Condition, ConsumerKind, Dependency, Guard, Kind, Use
from ksurf.check.guards import Reach, holds, reach
from ksurf.check.judge import judge_dependency
from ksurf.check.rules import Ruling
from ksurf.check.verdict import Finding, Outcome
from ksurf.check.walked import Place, Relocated, Walked
from ksurf.dataset.rows import ConfigOption
from ksurf.surface.attach import Mechanism
from ksurf.surface.config import judge_option
from made_facts import NEW, absent, facts, function, symbol, syscalls

HERE = facts(
    functions={
        "f": function("f", "f"),
        "gone": absent("gone"),
        "init": function("init", symbol("init", instance=0, init=True)),
    },
    config={"CONFIG_X": judge_option(NEW, "CONFIG_X", [ConfigOption("CONFIG_X", "m")])},
    syscalls=syscalls((4, "stat", "__x64_sys_newstat")),
)
HAS, HAS_NOT = Condition(Kind.FUNCTION, "f", True), Condition(Kind.FUNCTION, "f", False)
BROKEN, CHANGED = Ruling(Outcome.BROKEN, "refused: no f", ("why",)), Ruling(Outcome.CHANGED, "other f")
PLAIN = Use(line=1)


def guarded_by(*conditions: Condition, line: int = 2) -> Use:
    return Use(line=line, guard=Guard("if it is there", conditions))


def found(
    ruling: Ruling,
    *uses: Use,
    relocations: dict[int, Relocated] | None = None,
    places: dict[tuple[str, int], Place] | None = None,
) -> Finding:
    dependency = Dependency(Kind.FUNCTION, "f", uses=uses)
    walked = Walked(relocations or {}, places or {})
    return judge_dependency(ruling, dependency, HERE, ConsumerKind.BPF_OBJECT, walked)


@pytest.mark.parametrize(
    ("condition", "answer"),
    [
        (Condition(Kind.FUNCTION, "f", True), True),
        (Condition(Kind.FUNCTION, "gone", True), False),
        (Condition(Kind.FUNCTION, "init", True), True),
        (Condition(Kind.FUNCTION, "init", True, Mechanism.KPROBE), False),
        (Condition(Kind.CONFIG, "CONFIG_X", True), True),
        (Condition(Kind.CONFIG, "CONFIG_Y", True), False),
        (Condition(Kind.SYSCALL, "newstat", True), True),
        (Condition(Kind.SYSCALL, "stat", True), False),
        (Condition(Kind.STRUCT, "s", True), False),
    ],
)
def test_conditions_are_answered_by_the_same_facts(condition: Condition, answer: bool) -> None:
    assert holds(condition, HERE, ConsumerKind.BCC) is answer


def test_a_configuration_that_is_not_known_answers_nothing() -> None:
    asked = Condition(Kind.CONFIG, "CONFIG_X", True)
    unknown = facts(has_config=False)
    assert holds(asked, unknown, ConsumerKind.BCC) is None
    assert reach(guarded_by(asked), unknown, ConsumerKind.BCC) is Reach.COPES


def test_all_conditions_must_hold_for_a_place_to_be_reached() -> None:
    assert reach(PLAIN, HERE, ConsumerKind.BCC) is Reach.REACHED
    assert reach(guarded_by(), HERE, ConsumerKind.BCC) is Reach.COPES
    assert reach(guarded_by(HAS), HERE, ConsumerKind.BCC) is Reach.REACHED
    assert reach(guarded_by(HAS, HAS_NOT), HERE, ConsumerKind.BCC) is Reach.UNREACHED


def test_a_version_is_asked_of_the_kernel() -> None:
    for version, answer in (("6, 12, 0", True), ("6, 11, 9", True), ("6, 12, 1", False), ("7, 0, 0", False)):
        asked = Condition(Kind.CONFIG, f"LINUX_VERSION_CODE >= KERNEL_VERSION({version})", True)
        assert holds(asked, facts(has_config=False), ConsumerKind.BCC) is answer


def test_what_asks_for_more_may_cope() -> None:
    asks = replace(PLAIN, guard=Guard("both", (HAS,), more=True))
    assert reach(asks, HERE, ConsumerKind.BCC) is Reach.COPES
    asks = replace(PLAIN, guard=Guard("both", (HAS_NOT,), more=True))
    assert reach(asks, HERE, ConsumerKind.BCC) is Reach.UNREACHED


def test_what_is_fine_needs_no_guard() -> None:
    assert found(Ruling(Outcome.OK), guarded_by(HAS_NOT)).outcome is Outcome.OK


def test_a_use_without_a_guard_is_what_is_bad() -> None:
    finding = found(BROKEN, PLAIN, guarded_by(HAS_NOT))
    assert (finding.outcome, finding.uses) == (Outcome.BROKEN, (PLAIN,))


def test_if_all_uses_are_guarded_it_is_guarded() -> None:
    finding = found(BROKEN, guarded_by(HAS_NOT), guarded_by(line=3))
    assert (finding.outcome, finding.consequence) == (Outcome.GUARDED, "guarded by if it is there: no f")
    assert finding.evidence == ("why",)


def test_a_guard_that_lets_it_through_is_none() -> None:
    assert found(BROKEN, guarded_by(HAS)).outcome is Outcome.BROKEN


def test_who_copes_with_absence_does_not_cope_with_another_thing() -> None:
    assert found(CHANGED, guarded_by()).outcome is Outcome.CHANGED
    assert found(CHANGED, guarded_by(HAS_NOT)).outcome is Outcome.GUARDED


# Something else in place of it


def in_place(*others: Condition, conditions: tuple[Condition, ...] = ()) -> Use:
    return Use(line=4, guard=Guard("another", conditions, instead=others, catch="it must choose"))


def test_who_has_something_else_in_place_copes_where_that_is() -> None:
    gone = Condition(Kind.FUNCTION, "gone", True)
    finding = found(BROKEN, in_place(gone, HAS))
    assert finding.outcome is Outcome.GUARDED
    assert finding.consequence == "guarded by another: no f; it must choose"
    assert [one.code for one in finding.suggestions] == ['SEC("?kprobe/f")']
    assert found(BROKEN, in_place(gone)).outcome is Outcome.BROKEN
    assert found(CHANGED, in_place(HAS)).outcome is Outcome.CHANGED


def test_what_is_not_reached_needs_nothing_in_its_place() -> None:
    gone = Condition(Kind.FUNCTION, "gone", True)
    assert found(BROKEN, in_place(gone, conditions=(HAS_NOT,))).outcome is Outcome.GUARDED
    assert found(BROKEN, in_place(gone, conditions=(HAS,))).outcome is Outcome.BROKEN
    assert found(BROKEN, in_place(HAS, conditions=(HAS,))).outcome is Outcome.GUARDED


# Relocations, which the object's own walk has judged


FIRST, SECOND = Use(relocation=1), Use(relocation=2)


def test_a_relocation_that_fails_and_is_reached_is_broken() -> None:
    failed = {1: Relocated(False, True, "no such field"), 2: Relocated(True)}
    finding = found(BROKEN, FIRST, SECOND, relocations=failed)
    assert (finding.outcome, finding.uses) == (Outcome.BROKEN, (FIRST,))
    assert finding.evidence == ("why", "no such field")
    other = found(Ruling(Outcome.OK), FIRST, SECOND, relocations=failed)
    assert other.outcome is Outcome.BROKEN
    assert other.consequence.startswith("its relocation fails")


def test_a_relocation_that_fails_and_is_not_reached_is_guarded() -> None:
    finding = found(BROKEN, FIRST, relocations={1: Relocated(False, False)})
    assert finding.outcome is Outcome.GUARDED
    assert "not reached" in finding.consequence
    both = {1: Relocated(False, False), 2: Relocated(True)}
    assert found(Ruling(Outcome.OK), FIRST, SECOND, relocations=both).outcome is Outcome.GUARDED


def test_a_relocation_that_is_resolved_may_have_found_another_type() -> None:
    assert found(CHANGED, FIRST, relocations={1: Relocated(True)}).outcome is Outcome.CHANGED
    assert found(CHANGED, FIRST, relocations={1: Relocated(True, False)}).outcome is Outcome.GUARDED
    assert found(BROKEN, FIRST, relocations={1: Relocated(True)}).outcome is Outcome.OK


# Instructions that have been walked


CALL = Use(program="p", instruction=7)
WEAK = Use(program="p", instruction=7, guard=Guard("__weak"))


def test_an_instruction_that_is_not_reached_is_guarded() -> None:
    assert found(BROKEN, CALL, places={("p", 7): Place(False)}).outcome is Outcome.GUARDED
    assert found(BROKEN, CALL, places={("p", 7): Place(True)}).outcome is Outcome.BROKEN
    assert found(BROKEN, CALL, places={("p", 8): Place(False)}).outcome is Outcome.BROKEN
    assert found(CHANGED, CALL, places={("p", 7): Place(False)}).outcome is Outcome.GUARDED


def test_what_is_read_for_nothing_may_be_another_thing() -> None:
    other = replace(CALL, instruction=8)
    unused, used = Place(True, used=False), Place(True)
    finding = found(CHANGED, CALL, places={("p", 7): unused})
    assert finding.outcome is Outcome.OK
    assert finding.evidence == ("loaded, and not used there", *CHANGED.evidence)
    both = found(CHANGED, CALL, other, places={("p", 7): unused, ("p", 8): used})
    assert (both.outcome, both.uses) == (Outcome.CHANGED, (other,))
    # it is refused, whoever uses it
    assert found(BROKEN, CALL, places={("p", 7): unused}).outcome is Outcome.BROKEN
    relocations = {1: Relocated(True, used=False), 2: Relocated(True)}
    assert found(CHANGED, FIRST, relocations=relocations).outcome is Outcome.OK
    assert found(CHANGED, FIRST, SECOND, relocations=relocations).uses == (SECOND,)
    assert found(BROKEN, FIRST, relocations={1: Relocated(False, used=False)}).outcome is Outcome.BROKEN


def test_a_weak_function_that_is_called_all_the_same_is_broken() -> None:
    assert found(BROKEN, WEAK).outcome is Outcome.GUARDED
    assert found(BROKEN, WEAK, places={("p", 7): Place(True)}).outcome is Outcome.GUARDED
    assert found(BROKEN, WEAK, places={("p", 7): Place(True, refused=True)}).outcome is Outcome.BROKEN
