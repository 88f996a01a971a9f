"""What ``ksurf check`` writes, in every format, over a made-up report."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest

from ksurf.check.dependency import Dependency, Kind
from ksurf.check.policy import Policy, apply
from ksurf.check.verdict import Outcome, Report
from ksurf.report.check_json import check_json, deps_json
from ksurf.report.check_junit import check_junit
from ksurf.report.check_layout import Page
from ksurf.report.check_markdown import check_markdown
from ksurf.report.check_sarif import check_sarif
from ksurf.report.check_summary import causes, summary_json, summary_markdown, summary_text
from ksurf.report.check_terminal import SIGNS, check_text
from ksurf.report.deps_terminal import deps_text
from made_check import (
    BIOTOP,
    FINE,
    HOOK,
    KERNELS,
    MIDDLE,
    ODD_LIST,
    POLICY,
    TODAY,
    findings,
    page,
)

SNAPSHOTS = Path(__file__).parent / "data" / "check"

FORMATS: dict[str, Callable[[Page], str]] = {
    "check.txt": lambda made: click.unstyle(check_text(made, width=100)),
    "check-explain.txt": lambda made: click.unstyle(check_text(made, everything=True, width=100)),
    "check-narrow.txt": lambda made: click.unstyle(check_text(made, width=56)),
    "check.json": check_json,
    "check.md": check_markdown,
    "check.sarif": check_sarif,
    "check.xml": check_junit,
    "summary.txt": lambda made: click.unstyle(summary_text(made, width=100)),
    "summary.md": summary_markdown,
    "summary.json": summary_json,
    "deps.json": lambda made: deps_json([BIOTOP, ODD_LIST, FINE], made.skipped, made.unreadable),
    "deps.txt": lambda made: click.unstyle(
        deps_text([BIOTOP, ODD_LIST, FINE], made.skipped, made.unreadable)
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_as_it_was(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``KSURF_UPDATE=1`` writes the files anew, to be read before they are committed."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("ksurf.__version__", "1.0")
    text = FORMATS[name](page())
    if os.environ.get("KSURF_UPDATE"):
        (SNAPSHOTS / name).write_text(text)
    assert text == (SNAPSHOTS / name).read_text()


def test_a_terminal_of_any_width_is_kept() -> None:
    for width in (40, 56, 80, 100, 200):
        for everything in (False, True):
            lines = click.unstyle(check_text(page(), everything=everything, width=width)).splitlines()
            for line in lines:
                # A word, or a line of source or of code, is never broken.
                assert len(line) <= width or " " not in line.strip() or line.startswith("       "), line


def test_every_kernel_is_a_column_once() -> None:
    text = click.unstyle(check_text(page(), width=40))
    rows = [line for line in text.splitlines() if line.startswith("  kprobe")]
    assert sum(line.count("✔") + line.count("✘") + line.count("◐") for line in rows) == len(KERNELS)
    assert "(✘)" in "".join(rows)


def test_colours_only_underline_what_signs_say() -> None:
    text = check_text(page(), width=100)
    assert "\x1b[31m" in text
    plain = click.unstyle(text)
    for outcome in (Outcome.PARTIAL, Outcome.CHANGED, Outcome.BROKEN):
        assert f"{SIGNS[outcome]} {outcome.value}" in plain


def test_what_is_fine_is_folded_unless_all_is_asked_for() -> None:
    text = click.unstyle(check_text(page(), width=100))
    assert "vfsstat" in text.partition("1 ok on 5 kernels: ")[2].splitlines()[0]
    assert "tracepoint sched:sched_switch" not in text
    everything = click.unstyle(check_text(page(), everything=True, width=100))
    assert "tracepoint sched:sched_switch     ✔" in everything
    assert "◇ guarded  field task_struct::__state  on 5.10" in everything
    assert "guarded by bpf_core_field_exists(t->__state)" in everything


def test_bad_comes_before_less_bad() -> None:
    text = click.unstyle(check_text(page(), width=100))
    outcomes = re.findall(r"^  [^ ] (broken|changed|partial)  ", text, re.MULTILINE)
    both = "\n".join(outcomes)
    assert both == "broken\nbroken\nchanged\npartial\nbroken\nchanged"


def test_an_empty_report_says_so() -> None:
    empty = replace(page(policy=Policy()), report=Report(KERNELS, ()), unreadable=())
    assert "nothing was checked" in check_text(empty)
    for write in (check_json, check_markdown, check_sarif, check_junit, summary_text, summary_json):
        assert write(empty)
    assert empty.exit_status == 2


def test_the_exit_status() -> None:
    assert page().exit_status == 1
    made = page(policy=Policy())
    fine = replace(made.report, consumers=made.report.consumers[2:])
    # Nothing is broken, but a file could not be read.
    assert replace(made, report=fine).exit_status == 2
    assert replace(made, report=fine, unreadable=()).exit_status == 0
    some = tuple(findings(HOOK, {MIDDLE: Outcome.PARTIAL}, "some are missed"))
    partial = replace(fine, consumers=(replace(fine.consumers[0], findings=some),))
    for fail_on, status in ((Outcome.BROKEN, 0), (Outcome.CHANGED, 0), (Outcome.PARTIAL, 1)):
        assert replace(made, report=partial, unreadable=(), fail_on=fail_on).exit_status == status


def test_json_names_uses_by_number() -> None:
    document = json.loads(check_json(page()))
    assert (document["schema"], document["version"]) == ("ksurf.check", 1)
    biotop = document["consumers"][0]
    field = next(one for one in biotop["dependencies"] if one["name"] == "inode::i_atime")
    assert [use["line"] for use in field["uses"]] == [7, 9]
    changed = [one for one in field["findings"] if one["outcome"] == "changed"]
    assert [one["uses"] for one in changed] == [[0], [0]]
    hook = next(one for one in biotop["dependencies"] if one["kind"] == "function")
    accepted = [one["accepted"] for one in hook["findings"]]
    assert [one["reason"] for one in accepted if one] == ["biotop copes"]
    assert document["policy"]["expired"][0]["findings"] == 2
    assert [one["dependency"] for one in document["policy"]["unused"]] == ["lsm:file_open"]


def of_type(value: Any, *kinds: type) -> Any:
    assert isinstance(value, kinds), value
    return value


def test_sarif_is_shaped_as_the_standard_says() -> None:
    """SARIF 2.1.0, sections 3.13 (log), 3.14 (run), 3.19, 3.49 (rules), 3.27 (results), 3.35."""
    log = json.loads(check_sarif(page(), everything=True))
    assert log["version"] == "2.1.0"
    assert set(log) == {"$schema", "version", "runs"}
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert of_type(driver["name"], str) == "ksurf"
    identifiers = [rule["id"] for rule in driver["rules"]]
    assert len(set(identifiers)) == len(identifiers)
    for rule in driver["rules"]:
        assert set(rule) == {
            *("id", "name", "shortDescription", "fullDescription", "help", "defaultConfiguration")
        }
        assert re.fullmatch(r"[a-z-]+", rule["id"])
        assert rule["fullDescription"]["text"].endswith(".")
    for result in run["results"]:
        rule = driver["rules"][of_type(result["ruleIndex"], int)]
        assert rule["id"] == result["ruleId"]
        assert result["level"] in {"none", "note", "warning", "error"}
        # 3.27.10: a level belongs to what failed.
        assert (result["kind"] == "pass") == (result["level"] == "none")
        assert of_type(result["message"]["text"], str)
        assert result["partialFingerprints"]["ksurfDependency/v1"]
        for location in result["locations"]:
            check_location(location)
        for suppression in result.get("suppressions", ()):
            assert suppression == {"kind": "external", "status": "accepted", "justification": "biotop copes"}
    prints = [result["partialFingerprints"]["ksurfDependency/v1"] for result in run["results"]]
    assert len(set(prints)) == len(prints)
    (invocation,) = run["invocations"]
    assert of_type(invocation["executionSuccessful"], bool)
    assert invocation["exitCode"] == 1
    for notification in invocation["toolExecutionNotifications"]:
        assert notification["message"]["text"]
        check_location(notification["locations"][0])


def check_location(location: dict[str, Any]) -> None:
    physical = location["physicalLocation"]
    # 3.4.3: a valid reference by RFC 3986.
    assert re.fullmatch(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", physical["artifactLocation"]["uri"])
    if "region" in physical:
        assert of_type(physical["region"]["startLine"], int) >= 1
    for logical in location.get("logicalLocations", ()):
        assert logical["name"] and logical["fullyQualifiedName"] and logical["kind"] in {"function", "module"}


def test_sarif_levels_and_places() -> None:
    results = json.loads(check_sarif(page()))["runs"][0]["results"]
    by_rule = {(one["ruleId"], one["properties"]["consumer"]): one for one in results}
    assert by_rule["function-inlined", "biotop"]["level"] == "error"
    changed = by_rule["field-absent", "biotop"]
    assert changed["level"] == "warning"
    physical = changed["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == "src/atime.bpf.c"
    assert physical["region"]["startLine"] == 7
    odd = by_rule["function-inlined", "odd & <list>"]
    assert odd["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "lists/odd%20list.txt"
    # One that tells no place is at the program itself.
    parameter = by_rule["parameter-changed", "odd & <list>"]["locations"][0]
    assert "region" not in parameter["physicalLocation"]
    assert parameter["logicalLocations"][0]["fullyQualifiedName"] == "odd & <list>::accept"


def test_sarif_names_files_below_the_folder_as_a_repository_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = page()
    for path, uri in (
        (f"{tmp_path}/src/a b.bpf.c", "src/a%20b.bpf.c"),
        ("/elsewhere/a.bpf.c", "file:///elsewhere/a.bpf.c"),
        ("./src/a.bpf.c", "src/a.bpf.c"),
    ):
        hook = replace(HOOK, uses=(replace(HOOK.uses[0], file=path),))
        some = tuple(findings(hook, {MIDDLE: Outcome.BROKEN}, "it is gone"))
        one = replace(made.report.consumers[0], findings=some)
        log = json.loads(check_sarif(replace(made, report=replace(made.report, consumers=(one,)))))
        (result,) = log["runs"][0]["results"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


def test_junit_has_a_suite_for_each_program_and_a_case_for_each_kernel() -> None:
    root = ElementTree.fromstring(check_junit(page()))
    assert root.tag == "testsuites"
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["biotop", "odd & <list>", "vfsstat", "not checked"]
    for suite in root:
        assert suite.get("tests") == str(len(suite.findall("testcase")))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
    failed = {case.get("name") for case in suites["biotop"] if case.find("failure") is not None}
    assert failed == {"Regular 6.1"}  # that on arm64 is accepted, and no others are broken
    accepted = next(case for case in suites["biotop"] if case.get("name") == "Arch arm64")
    assert "accepted: biotop copes" in (accepted.findtext("system-out") or "")
    assert len(suites["vfsstat"].findall("testcase")) == len(KERNELS)
    assert suites["not checked"].find("testcase/error") is not None
    assert root.get("failures") == "6" and root.get("errors") == "1"


def test_no_format_is_broken_by_what_stands_in_a_name() -> None:
    hostile = Dependency(HOOK.kind, "a\x00\x1b[31m]]>\ud800\n| x `", HOOK.mechanism)
    made = page(policy=Policy())
    one = replace(
        made.report.consumers[0],
        consumer=replace(BIOTOP, name="\x08\x1b]0;x\x07", incomplete=("\x1b[2J",)),
        findings=tuple(findings(hostile, {MIDDLE: Outcome.BROKEN}, "\x1b[31mred\x07", ("\x00",))),
    )
    made = replace(made, report=replace(made.report, consumers=(one,)))
    ElementTree.fromstring(check_junit(made))
    json.loads(check_json(made)), json.loads(check_sarif(made))
    for plain in (click.unstyle(check_text(made, width=100)), click.unstyle(summary_text(made, width=100))):
        assert "\x1b" not in plain and "\x07" not in plain and "\x00" not in plain
    rows = [line for line in check_markdown(made).splitlines() if line.startswith("| `kprobe a")]
    assert len(rows) == 1


def with_what_follows(made: Page) -> Page:
    """The page, with a parameter whose findings follow from those of its function."""
    parameter = Dependency(Kind.PARAMETER, "blk_account_io_start::0", HOOK.mechanism, (HOOK.uses[0],))
    first, *others = made.report.consumers
    of_hook = [finding for finding in first.findings if finding.dependency is HOOK]
    follows = [
        replace(one, dependency=parameter, follows=None if one.outcome is Outcome.OK else HOOK)
        for one in of_hook
    ]
    consumers = (replace(first, findings=(*first.findings, *follows)), *others)
    report = Report(made.report.kernels, consumers)
    return replace(made, report=report, applied=apply(POLICY, report, TODAY))


def test_what_follows_is_counted_and_not_said_again() -> None:
    made = with_what_follows(page())
    name = "blk_account_io_start::0"
    text = click.unstyle(check_text(made, width=100))
    assert name not in text and "1 more follows from these, 1 more dependency ok on all" in text
    markdown = check_markdown(made)
    assert name not in markdown and "1 more follows from these, 1 more ok on all kernels." in markdown
    assert name not in check_sarif(made) and name not in check_junit(made)
    assert causes(made) == causes(page())
    for told in (check_text, check_markdown, check_sarif, check_junit):
        assert name in told(made, everything=True)


def test_json_tells_what_a_finding_follows_from() -> None:
    (biotop, *_) = json.loads(check_json(with_what_follows(page())))["consumers"]
    hook, parameter = biotop["dependencies"][0], biotop["dependencies"][-1]
    assert parameter["name"] == "blk_account_io_start::0"
    named = {"kind": "function", "name": "blk_account_io_start", "mechanism": "kprobe"}
    assert [one["follows"] for one in hook["findings"]] == [None] * 5
    assert [one["follows"] for one in parameter["findings"]] == [None, named, None, named, named]
    # It is accepted with what it follows from.
    assert [one["accepted"] is None for one in parameter["findings"]] == [
        one["accepted"] is None for one in hook["findings"]
    ]
    assert not all(one["accepted"] is None for one in hook["findings"])
