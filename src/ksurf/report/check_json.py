"""A check, and a set of dependencies, as JSON, under names that stay (``docs/report-json.md``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ksurf.check.consumer import Unreadable
from ksurf.check.dependency import Condition, Consumer, Dependency, Guard, Program, Use
from ksurf.check.policy import Acceptance
from ksurf.check.verdict import ConsumerReport, Finding, Suggestion, worst
from ksurf.report.check_layout import Page
from ksurf.report.json import SCHEMA_VERSION, kernel_document
from ksurf.series import Column

__all__ = ["acceptance_document", "check_json", "column_document", "deps_json", "unreadable_document"]


def check_json(page: Page) -> str:
    """The page as one JSON document, with a newline at its end."""
    document = {
        "schema": "ksurf.check",
        "version": SCHEMA_VERSION,
        "baseline": page.groups.baseline.id,
        "kernels": [column_document(column) for column in page.columns],
        "fail_on": page.fail_on.value,
        "exit_status": page.exit_status,
        "outcome": page.report.outcome.value,
        "consumers": [_consumer_report(one, page) for one in page.report.consumers],
        "skipped": page.skipped,
        "unreadable": [unreadable_document(one) for one in page.unreadable],
        "policy": {
            "file": page.applied.path,
            "expired": [
                {**acceptance_document(acceptance), "findings": again}
                for acceptance, again in page.applied.expired
            ],
            "unused": [acceptance_document(acceptance) for acceptance in page.applied.unused],
        },
    }
    return _text(document)


def deps_json(consumers: Sequence[Consumer], skipped: int, unreadable: Sequence[Unreadable]) -> str:
    """What some consumers need, as one JSON document, with a newline at its end."""
    document = {
        "schema": "ksurf.deps",
        "version": SCHEMA_VERSION,
        "consumers": [
            {
                **_consumer(consumer),
                "dependencies": [
                    {**_dependency(one), "uses": [_use(use) for use in one.uses]}
                    for one in consumer.dependencies
                ],
            }
            for consumer in consumers
        ],
        "skipped": skipped,
        "unreadable": [unreadable_document(one) for one in unreadable],
    }
    return _text(document)


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _consumer(consumer: Consumer) -> dict[str, Any]:
    return {
        "kind": consumer.kind.value,
        "name": consumer.name,
        "path": consumer.path,
        "member": consumer.member,
        "programs": [_program(program) for program in consumer.programs],
        "incomplete": list(consumer.incomplete),
    }


def _program(program: Program) -> dict[str, Any]:
    return {"name": program.name, "section": program.section, "optional": program.optional}


def _dependency(dependency: Dependency) -> dict[str, Any]:
    return {
        **_named(dependency),
        "crc": dependency.crc,
        "expected": dependency.expected,
    }


def _use(use: Use) -> dict[str, Any]:
    return {
        "program": use.program,
        "file": use.file,
        "line": use.line,
        "text": use.text,
        "instruction": use.instruction,
        "relocation": use.relocation,
        "guard": None if use.guard is None else _guard(use.guard),
    }


def _guard(guard: Guard) -> dict[str, Any]:
    return {
        "text": guard.text,
        "conditions": [{**_named(one), "holds": one.holds} for one in guard.conditions],
        "instead": [{**_named(one), "holds": one.holds} for one in guard.instead],
        "catch": guard.catch,
    }


def _named(one: Dependency | Condition) -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "name": one.name,
        "mechanism": one.mechanism.value if one.mechanism else None,
    }


def _consumer_report(one: ConsumerReport, page: Page) -> dict[str, Any]:
    findings: dict[int, list[Finding]] = {}
    dependencies: dict[int, Dependency] = {}
    for finding in one.findings:
        dependencies.setdefault(id(finding.dependency), finding.dependency)
        findings.setdefault(id(finding.dependency), []).append(finding)
    return {
        **_consumer(one.consumer),
        "baseline": one.baseline.id if one.baseline else None,
        "outcome": worst(one.findings).value,
        "dependencies": [_judged(dependencies[key], held, page) for key, held in findings.items()],
    }


def _judged(dependency: Dependency, findings: Sequence[Finding], page: Page) -> dict[str, Any]:
    """A dependency with its findings, which name their uses by number: a use is written once."""
    numbers = {use: number for number, use in reversed(list(enumerate(dependency.uses)))}
    uses = list(dependency.uses)
    written = []
    for finding in findings:
        for use in finding.uses:
            if use not in numbers:
                numbers[use] = len(uses)
                uses.append(use)
        written.append(_finding(finding, [numbers[use] for use in finding.uses], page.applied.of(finding)))
    return {**_dependency(dependency), "uses": [_use(use) for use in uses], "findings": written}


def _finding(finding: Finding, uses: list[int], acceptance: Acceptance | None) -> dict[str, Any]:
    return {
        "kernel": finding.kernel.id,
        "outcome": finding.outcome.value,
        "cause": None if finding.cause is None else finding.cause.value,
        "consequence": finding.consequence or None,
        "evidence": list(finding.evidence),
        "suggestions": [_suggestion(suggestion) for suggestion in finding.suggestions],
        "uses": uses,
        "baseline": finding.baseline.id if finding.baseline else None,
        "follows": None if finding.follows is None else _named(finding.follows),
        "accepted": None if acceptance is None else acceptance_document(acceptance),
    }


def _suggestion(suggestion: Suggestion) -> dict[str, Any]:
    return {"text": suggestion.text, "code": suggestion.code, "language": suggestion.language}


def column_document(column: Column) -> dict[str, Any]:
    """A kernel in its group."""
    return {"group": column.group, "label": column.label, "kernel": kernel_document(column.kernel)}


def acceptance_document(acceptance: Acceptance) -> dict[str, Any]:
    """An entry of the policy file."""
    return {
        "dependency": acceptance.dependency,
        "causes": [cause.value for cause in acceptance.causes],
        "kernels": [selector.text for selector in acceptance.kernels],
        "consumers": list(acceptance.consumers),
        "outcome": acceptance.outcome.value,
        "reason": acceptance.reason,
        "expires": acceptance.expires.isoformat() if acceptance.expires else None,
    }


def unreadable_document(one: Unreadable) -> dict[str, Any]:
    """Something that was not checked."""
    return {"path": one.path, "reason": one.reason}
