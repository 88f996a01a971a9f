"""``ksurf.toml``: what it accepts, when that ends, and what is said of mistakes in it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ksurf.check.cause import Cause
from ksurf.check.policy import Policy, apply, load
from ksurf.check.verdict import Finding, Outcome
from ksurf.errors import InputError
from made_check import ARM, KERNELS, MIDDLE, RT, TODAY, report

WHOLE = """
[check]
kernels = ["6.1-cloud-amd64", "arm64"]
fail-on = "changed"
baseline = "6.1"

[[accept]]
dependency = "function:blk_account_io_start"
kernels = ["6.1"]
consumers = ["biotop"]
outcome = "broken"
reason = "it copes"
expires = 2027-01-31

[[accept]]
dependency = "field:inode::*"
reason = "being ported"
"""


def policy(folder: Path, text: str) -> Policy:
    """What a file of that text says."""
    file = folder / "my.toml"
    file.write_text(text)
    return load(file)


def accepted(folder: Path, entry: str, *, today: date = TODAY) -> list[Finding]:
    """The findings of the made-up report that an entry accepts."""
    made = report()
    applied = apply(policy(folder, f"[[accept]]\nreason = 'so'\n{entry}"), made, today)
    return [finding for finding in made.findings if applied.of(finding)]


def test_everything_that_a_policy_can_say(tmp_path: Path) -> None:
    found = policy(tmp_path, WHOLE)
    assert found.kernels == ("6.1-cloud-amd64", "arm64")
    assert (found.fail_on, found.baseline) == (Outcome.CHANGED, "6.1")
    first, second = found.acceptances
    assert first.expires == date(2027, 1, 31)
    assert (first.consumers, first.outcome, first.reason) == (("biotop",), Outcome.BROKEN, "it copes")
    assert (second.kernels, second.consumers, second.expires) == ((), (), None)


def test_that_of_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(None) == Policy()
    (tmp_path / "ksurf.toml").write_text("[check]\nfail-on = 'partial'\n")
    assert load(None).fail_on is Outcome.PARTIAL
    with pytest.raises(InputError, match=r"other\.toml: No such file"):
        load(Path("other.toml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[chek]\n", "chek: no such key; there are check, accept"),
        ("[check]\nfailon = 'broken'\n", "check.failon: no such key"),
        ("[check]\nfail-on = 'ok'\n", "check.fail-on: 'ok' is none of partial, changed, broken"),
        ("[check]\nkernels = '6.1'\n", "check.kernels: '6.1' is no list of texts"),
        ("[check]\nkernels = ['']\n", "check.kernels: the selector '' names no kernel"),
        ("[check]\nbaseline = 6.1\n", "check.baseline: 6.1 is no text"),
        ("check = 1\n", "check: it must be a table"),
        ("accept = 1\n", "accept: each must be a table"),
        ("[[accept]]\nreason = 'x'\n", "accept[1].dependency: it is missing"),
        (
            "[[accept]]\ndependency = 'vfs_read'\nreason = 'x'\n",
            "accept[1].dependency: 'vfs_read' is not KIND",
        ),
        (
            "[[accept]]\ndependency = 'kprobe:x'\nreason = 'x'\n",
            "no kind 'kprobe'; is it function?",
        ),
        (
            "[[accept]]\ndependency = 'feild:x::y'\nreason = 'x'\n",
            "no kind 'feild'; is it field?",
        ),
        (
            "[[accept]]\ndependency = 'Q:x'\nreason = 'x'\n",
            "no kind 'Q'; there are function, ",
        ),
        ("[[accept]]\ndependency = 'lsm:x'\n", "accept[1].reason: it is missing"),
        ("[[accept]]\ndependency = 'lsm:x'\nreason = ' '\n", "accept[1].reason: it must say why"),
        (
            "[[accept]]\ndependency = 'lsm:x'\nreason = 'x'\nexpires = '2027-01-31'\n",
            "accept[1].expires: '2027",
        ),
        (
            "[[accept]]\ndependency = 'lsm:x'\nreason = 'x'\nexpires = 2027-01-31T00:00:00\n",
            "accept[1].expires",
        ),
        ("[[accept]]\ndependency = 'lsm:x'\nreason = 'x'\nexpires = 2027-02-31\n", "my.toml: "),
        ("[[accept]]\ndependency = 'lsm:x'\nreason = 'x'\nuntil = 1\n", "accept[1].until: no such key"),
        (
            "[[accept]]\ndependency = 'lsm:x'\nreason = 'x'\noutcome = 'guarded'\n",
            "accept[1].outcome: 'guarded'",
        ),
        ("[[accept]]\ncauses = []\nreason = 'x'\n", "accept[1].dependency: it is missing"),
        (
            "[[accept]]\ncauses = ['inlined']\nreason = 'x'\n",
            "accept[1].causes: no cause 'inlined': function-absent,",
        ),
        (
            "[[accept]]\ncauses = 'no-btf'\nreason = 'x'\n",
            "accept[1].causes: 'no-btf' is no list of texts: [\"function-inlined\"]",
        ),
        ("nonsense", "my.toml: Expected"),
        ("x = '\xff'" * 200_000, "longer than the 1 MiB"),
        ("a = " + "[" * 5000, "my.toml: "),
    ],
)
def test_a_mistake_is_told_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        policy(tmp_path, text)
    assert "my.toml: " in caught.value.message
    assert message in caught.value.message


def test_an_entry_is_for_its_kernels_and_programs(tmp_path: Path) -> None:
    entry = "dependency = 'function:blk_account_io_start'\n"
    assert [f.kernel for f in accepted(tmp_path, entry)] == [MIDDLE, ARM, RT]
    assert [f.kernel for f in accepted(tmp_path, f"{entry}kernels = ['arm64', 'rt']")] == [ARM, RT]
    assert accepted(tmp_path, f"{entry}consumers = ['vfsstat']") == []
    assert len(accepted(tmp_path, f"{entry}consumers = ['bio*']")) == 3
    # As bad as it says, or less.
    assert [f.kernel for f in accepted(tmp_path, f"{entry}outcome = 'partial'")] == [RT]
    assert [f.kernel for f in accepted(tmp_path, f"{entry}outcome = 'changed'")] == [RT]


def test_findings_are_accepted_by_their_cause(tmp_path: Path) -> None:
    inlined = "causes = ['function-inlined']"
    assert {f.cause for f in accepted(tmp_path, inlined)} == {Cause.FUNCTION_INLINED}
    assert len(accepted(tmp_path, inlined)) == 2 + len(KERNELS)
    both = accepted(tmp_path, "causes = ['function-inlined', 'function-inlined-partly']")
    assert len(both) == len(accepted(tmp_path, inlined)) + 1
    named = accepted(tmp_path, f"dependency = 'function:blk_*'\n{inlined}")
    assert [f.kernel for f in named] == [MIDDLE, ARM]
    assert accepted(tmp_path, f"dependency = 'field:*'\n{inlined}") == []
    assert accepted(tmp_path, f"{inlined}\noutcome = 'partial'") == []
    (one,) = policy(tmp_path, f"[[accept]]\nreason = 'so'\ndependency = 'field:*'\n{inlined}").acceptances
    assert one.what == "field:* for function-inlined"


def test_a_name_with_wildcards_of_its_own_is_meant_as_it_is(tmp_path: Path) -> None:
    assert len(accepted(tmp_path, "dependency = 'function:a|b<script>`*_*'")) == len(KERNELS)
    assert len(accepted(tmp_path, "dependency = '*:*'")) == 11


def test_what_is_fine_needs_no_acceptance(tmp_path: Path) -> None:
    assert accepted(tmp_path, "dependency = 'field:task_struct::__state'") == []


def test_an_entry_counts_on_its_last_day_and_not_after(tmp_path: Path) -> None:
    entry = "dependency = 'field:inode::i_atime'\nexpires = 2026-11-21"
    assert len(accepted(tmp_path, entry, today=date(2026, 11, 21))) == 2
    assert accepted(tmp_path, entry, today=date(2026, 11, 22)) == []
    applied = apply(policy(tmp_path, f"[[accept]]\nreason = 'so'\n{entry}"), report(), date(2026, 11, 22))
    ((acceptance, again),) = applied.expired
    assert (acceptance.dependency, again) == ("field:inode::i_atime", 2)
    assert applied.unused == ()


def test_an_entry_that_accepts_nothing_is_told_if_its_programs_were_checked(tmp_path: Path) -> None:
    def unused(entry: str) -> int:
        return len(apply(policy(tmp_path, f"[[accept]]\nreason = 'so'\n{entry}"), report(), TODAY).unused)

    assert unused("dependency = 'lsm:file_open'") == 1
    assert unused("dependency = 'lsm:file_open'\nconsumers = ['other']") == 0
    assert unused("dependency = 'lsm:file_open'\nkernels = ['riscv64']") == 0
    assert unused("dependency = 'field:inode::i_atime'") == 0


def test_of_several_entries_the_first_that_has_not_expired_counts(tmp_path: Path) -> None:
    text = "[[accept]]\ndependency = 'field:inode::*'\nreason = 'old'\nexpires = 2026-01-01\n"
    text += "[[accept]]\ndependency = 'field:*'\nreason = 'new'\n"
    made = report()
    applied = apply(policy(tmp_path, text), made, TODAY)
    assert {a.reason for a in applied.accepted.values()} == {"new"}
    assert applied.expired == ()
