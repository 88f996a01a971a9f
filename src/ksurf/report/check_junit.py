"""A check as JUnit's XML, which servers of continuous integration show as tests.

One suite per consumer, one case per kernel: it fails with all that is to be said of the consumer there. A
case for each dependency would be tens of thousands of lines, nearly all of them green. Source: the format
that Jenkins and GitLab read (junit-10.xsd).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ksurf.check.verdict import ConsumerReport, Outcome
from ksurf.report.check_layout import Page, Reason, place, reasons, rows, title

__all__ = ["check_junit"]

# What XML 1.0 cannot hold, however it is escaped.
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def check_junit(page: Page, *, everything: bool = False) -> str:
    """The page as one XML document, with a newline at its end; also what is fine, if it is asked for."""
    suites = Element("testsuites", name="ksurf check")
    for one in page.report.consumers:
        _suite(suites, one, page, everything)
    if page.unreadable:
        suite = SubElement(suites, "testsuite", name="not checked")
        for unreadable in page.unreadable:
            case = SubElement(suite, "testcase", classname="not checked", name=_clean(unreadable.path))
            SubElement(case, "error", message=_clean(unreadable.reason), type="unreadable")
    total: Counter[str] = Counter()
    for suite in suites:
        counted = {
            "tests": len(suite.findall("testcase")),
            "failures": len(suite.findall("testcase/failure")),
            "errors": len(suite.findall("testcase/error")),
        }
        total.update(counted)
        for name, number in counted.items():
            suite.set(name, str(number))
    for name in ("tests", "failures", "errors"):
        suites.set(name, str(total[name]))
    indent(suites, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(suites, encoding="unicode") + "\n"


def _suite(suites: Element, one: ConsumerReport, page: Page, everything: bool) -> None:
    consumer = one.consumer
    suite = SubElement(suites, "testsuite", name=_clean(consumer.name))
    columns = page.columns
    found = rows(one, columns)
    for number, column in enumerate(columns):
        case = SubElement(
            suite,
            "testcase",
            classname=_clean(consumer.name),
            name=f"{column.group} {column.label}",
            file=_clean(consumer.path),
        )
        findings = [finding for row in found if (finding := row.findings[number]) is not None]
        here = reasons(consumer, found, page, everything=everything, only=column)
        text = _clean("\n\n".join(_text(reason) for reason in here))
        if page.fails(findings):
            worst = next(one for one in here if one.acceptance is None)
            kind = worst.outcome.value if worst.cause is None else worst.cause.value
            failure = SubElement(case, "failure", message=_clean(_counts(here)), type=kind)
            failure.text = text
        elif text:
            SubElement(case, "system-out").text = text
    if consumer.incomplete:
        SubElement(suite, "system-err").text = _clean(
            "\n".join(f"{_where(one)}: not read: {reason}" for reason in consumer.incomplete)
        )


def _where(one: ConsumerReport) -> str:
    return one.consumer.path if one.consumer.member is None else f"{one.consumer.path}: {one.consumer.member}"


def _counts(told: Sequence[Reason]) -> str:
    counted = Counter(reason.outcome for reason in told if reason.acceptance is None)
    bad = [outcome for outcome in reversed(Outcome) if outcome > Outcome.GUARDED and counted[outcome]]
    names = ", ".join(title(reason.dependency) for reason in told[:3] if reason.acceptance is None)
    return f"{', '.join(f'{counted[outcome]} {outcome.value}' for outcome in bad)}: {names}"


def _text(reason: Reason) -> str:
    accepted = f" (accepted: {reason.acceptance.reason})" if reason.acceptance else ""
    cause = f" ({reason.cause.value})" if reason.cause else ""
    lines = [f"{reason.outcome.value}{cause}: {title(reason.dependency)}{accepted}"]
    lines += [f"  {line}" for line in (reason.consequence, *reason.evidence) if line]
    lines += [f"  {place(use, reason.consumer)}" for use in reason.uses]
    for suggestion in reason.suggestions:
        lines.append(f"  suggestion: {suggestion.text}")
        lines += [f"    {line}" for line in (suggestion.code or "").splitlines()]
    return "\n".join(lines)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("�", text)
