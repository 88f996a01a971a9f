"""A check as SARIF 2.1.0, which code hosts show beside the lines that it is about.

Source: OASIS, Static Analysis Results Interchange Format Version 2.1.0. A rule is a cause
(:class:`~ksurf.check.cause.Cause`). A result is what is said in the same words of one dependency, for all
kernels on which it is.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from ksurf.check.consumer import STDIN
from ksurf.check.dependency import Consumer, Use
from ksurf.check.verdict import Outcome
from ksurf.report.check_layout import Page, Reason, reasons, rows, source, title

__all__ = ["check_sarif"]

_LEVELS = {
    Outcome.OK: "none",
    Outcome.GUARDED: "note",
    Outcome.PARTIAL: "warning",
    Outcome.CHANGED: "warning",
    Outcome.BROKEN: "error",
}
_MEANINGS = {
    Outcome.OK: "it is as it was",
    Outcome.GUARDED: "the kernel has it not, and the program copes",
    Outcome.PARTIAL: "the program works, and misses a part of what it is for",
    Outcome.CHANGED: "the program loads, and may read or do the wrong thing",
    Outcome.BROKEN: "the program is refused when it is loaded or attached, or never fires",
}
_FINE, _NOTHING = "ok", "Nothing is in the way."
"""The rule of what is fine, and what it says."""
_LOCATIONS = 10
"""Readers of SARIF show the first, and refuse results with very many."""


def check_sarif(page: Page, *, everything: bool = False) -> str:
    """The page as one SARIF log, with a newline at its end; also what is fine, if it is asked for."""
    import ksurf

    results: list[dict[str, Any]] = []
    rules: dict[str, dict[str, Any]] = {}
    worst: dict[str, Outcome] = {}
    columns = page.columns
    fingerprints: Counter[str] = Counter()
    for one in page.report.consumers:
        for reason in reasons(one.consumer, rows(one, columns), page, everything=everything):
            rule = _FINE if reason.cause is None else reason.cause.value
            # The worst of a cause is its level; each result has its own.
            if rule not in rules or reason.outcome > worst[rule]:
                worst[rule] = reason.outcome
                rules[rule] = _rule(rule, reason)
            result = _result(rule, list(rules).index(rule), reason, one.consumer)
            key = _fingerprint(reason, one.consumer)
            fingerprints[key] += 1
            result["partialFingerprints"] = {"ksurfDependency/v1": f"{key}:{fingerprints[key]}"}
            results.append(result)
    log = {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "ksurf",
                        "version": ksurf.__version__,
                        "rules": list(rules.values()),
                    }
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [_invocation(page)],
                "results": results,
            }
        ],
    }
    return json.dumps(log, indent=1, ensure_ascii=False) + "\n"


def _invocation(page: Page) -> dict[str, Any]:
    incomplete = [
        (one.consumer.path, reason) for one in page.report.consumers for reason in one.consumer.incomplete
    ]
    missed = [(one.path, one.reason) for one in page.unreadable]
    return {
        "executionSuccessful": page.exit_status != 2,
        "exitCode": page.exit_status,
        "toolExecutionNotifications": [
            *(_notification(path, f"not checked: {reason}", "error") for path, reason in missed),
            *(_notification(path, f"not read: {reason}", "warning") for path, reason in incomplete),
            *(
                _notification(page.applied.path or "ksurf.toml", text, "warning")
                for text in _policy_notes(page)
            ),
        ],
    }


def _policy_notes(page: Page) -> Iterable[str]:
    for acceptance, again in page.applied.expired:
        findings = f"{again} finding{'s' if again != 1 else ''} again"
        yield f"{acceptance.what}: its acceptance expired on {acceptance.expires}, {findings}"
    for acceptance in page.applied.unused:
        yield f"{acceptance.what}: its acceptance accepts nothing here"


def _notification(path: str, text: str, level: str) -> dict[str, Any]:
    location = {"physicalLocation": {"artifactLocation": {"uri": _uri(path)}}}
    return {"level": level, "message": {"text": text}, "locations": [location]}


def _rule(identifier: str, reason: Reason) -> dict[str, Any]:
    sentence = _NOTHING if reason.cause is None else reason.cause.sentence
    meanings = "".join(f"\n{_LEVELS[outcome]}: {_MEANINGS[outcome]}." for outcome in reversed(Outcome))
    return {
        "id": identifier,
        "name": "".join(word.capitalize() for word in identifier.split("-")),
        "shortDescription": {"text": identifier.replace("-", " ")},
        "fullDescription": {"text": sentence},
        "help": {"text": f"{sentence}\n{meanings}"},
        "defaultConfiguration": {"level": _LEVELS[reason.outcome]},
    }


def _result(rule: str, number: int, reason: Reason, consumer: Consumer) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": rule,
        "ruleIndex": number,
        "kind": "pass" if reason.outcome is Outcome.OK else "fail",
        "level": _LEVELS[reason.outcome],
        "message": {"text": _message(reason, consumer)},
        "locations": _locations(reason.uses, consumer),
        "properties": {
            "consumer": consumer.name,
            "dependency": f"{reason.dependency.kind.value}:{reason.dependency.name}",
            "outcome": reason.outcome.value,
            "cause": None if reason.cause is None else reason.cause.value,
            "kernels": [column.kernel.id for column in reason.columns],
        },
    }
    if reason.acceptance is not None:
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": reason.acceptance.reason}
        ]
    return result


def _message(reason: Reason, consumer: Consumer) -> str:
    lines = [
        f"{consumer.name} needs {title(reason.dependency)}; on {reason.kernels} it is {reason.outcome.value}"
    ]
    if reason.consequence:
        lines[0] += f": {reason.consequence}"
    lines += reason.evidence
    for suggestion in reason.suggestions:
        lines.append(f"Suggestion: {suggestion.text}")
        lines += (suggestion.code or "").splitlines()
    return "\n".join(lines)


def _fingerprint(reason: Reason, consumer: Consumer) -> str:
    """The same for the same finding of another run, though lines have moved and kernels are new."""
    dependency = reason.dependency
    mechanism = dependency.mechanism.value if dependency.mechanism else ""
    words = (consumer.name, dependency.kind.value, dependency.name, mechanism, reason.outcome.value)
    return hashlib.sha256("\0".join(words).encode("utf-8", "replace")).hexdigest()


def _locations(uses: Sequence[Use], consumer: Consumer) -> list[dict[str, Any]]:
    made = []
    placed = [(use, file) for use in uses if (file := source(use, consumer)) is not None]
    for use, file in placed[:_LOCATIONS]:
        physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(file)}}
        if use.line is not None and use.line > 0:
            physical["region"] = {"startLine": use.line}
            if use.text:
                physical["region"]["snippet"] = {"text": use.text}
        made.append({"physicalLocation": physical, **_logical(consumer, use.program)})
    # A result without a place is not shown: the consumer itself is one.
    whole = {"physicalLocation": {"artifactLocation": {"uri": _uri(consumer.path)}}}
    programs = [use.program for use in uses if use.program is not None]
    return made or [{**whole, **_logical(consumer, programs[0] if programs else None)}]


def _logical(consumer: Consumer, program: str | None) -> dict[str, Any]:
    parts = [part for part in (consumer.name, consumer.member, program) if part is not None]
    logical = {"name": parts[-1], "fullyQualifiedName": "::".join(parts)}
    return {"logicalLocations": [{**logical, "kind": "function" if program is not None else "module"}]}


def _uri(path: str) -> str:
    """A path as a reference: relative to the folder that the command runs in, if it is below that."""
    if path == STDIN:
        return "stdin"
    text = path
    if path.startswith("/"):
        with suppress(ValueError):
            text = str(PurePosixPath(path).relative_to(Path.cwd()))
    else:
        text = str(PurePosixPath(path))
    quoted = quote(text, errors="replace")
    return f"file://{quoted}" if quoted.startswith("/") else quoted
