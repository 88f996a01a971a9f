"""A check read back from its JSON (:mod:`ksurf.report.check_json`), to print a kept result again.

Nothing is looked up, and what the document does not say (layouts, the bytes of an object) is not there.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any
from urllib.parse import unquote

from ksurf.check.cause import CAUSES
from ksurf.check.consumer import Unreadable
from ksurf.check.dependency import (
    Condition,
    Consumer,
    ConsumerKind,
    Dependency,
    Guard,
    Kind,
    Program,
    Use,
)
from ksurf.check.policy import Acceptance, Applied
from ksurf.check.verdict import ConsumerReport, Finding, Outcome, Report, Suggestion
from ksurf.errors import InputError
from ksurf.kernel import Kernel
from ksurf.report.check_layout import Page
from ksurf.report.json import SCHEMA_VERSION
from ksurf.selector import Selector
from ksurf.series import Groups, Member
from ksurf.surface.attach import Mechanism

__all__ = ["check_page"]


def check_page(text: str | bytes) -> Page:
    """The page that a document was written of; raises ``InputError`` if it is none that is understood."""
    try:
        document = json.loads(text)
        if (document["schema"], document["version"]) != ("ksurf.check", SCHEMA_VERSION):
            raise InputError("it is no check, or one that another version of ksurf has written")
        return _Reader(document).page()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise InputError("the document of the check is not whole") from error


class _Reader:
    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._kernels = {one["kernel"]["id"]: _kernel(one["kernel"]) for one in document["kernels"]}
        self._others: dict[str, Kernel] = {}
        self._accepted: dict[int, Acceptance] = {}
        self._acceptances: dict[str, Acceptance] = {}

    def page(self) -> Page:
        document = self._document
        policy = document["policy"]
        report = Report(
            tuple(self._kernels.values()), tuple(self._consumer_report(one) for one in document["consumers"])
        )
        applied = Applied(
            _maybe(policy["file"]),
            self._accepted,
            tuple((self._acceptance(one), int(one["findings"])) for one in policy["expired"]),
            tuple(self._acceptance(one) for one in policy["unused"]),
        )
        return Page(
            report,
            self._groups(),
            applied,
            Outcome(document["fail_on"]),
            int(document["skipped"]),
            tuple(Unreadable(_text(one["path"]), _text(one["reason"])) for one in document["unreadable"]),
        )

    def _groups(self) -> Groups:
        def members(name: str) -> tuple[Member, ...]:
            return tuple(
                Member(_text(one["label"]), self._kernels[one["kernel"]["id"]])
                for one in self._document["kernels"]
                if one["group"] == name
            )

        baseline = self._kernel(self._document["baseline"])
        return Groups(baseline, members("Regular"), members("Arch"), members("Flavor"))

    def _kernel(self, identity: str) -> Kernel:
        """One of the columns, or another one with which something was compared."""
        if identity not in self._kernels and identity not in self._others:
            self._others[identity] = _of_id(identity)
        return self._kernels.get(identity) or self._others[identity]

    def _consumer_report(self, one: dict[str, Any]) -> ConsumerReport:
        judged = [(_dependency(told), told["findings"]) for told in one["dependencies"]]
        by_name = {
            _named(told): dependency
            for (dependency, _), told in zip(judged, one["dependencies"], strict=True)
        }
        consumer = Consumer(
            ConsumerKind(one["kind"]),
            _text(one["name"]),
            _text(one["path"]),
            _maybe(one["member"]),
            tuple(
                Program(_text(told["name"]), _maybe(told["section"]), told["optional"] is True)
                for told in one["programs"]
            ),
            tuple(dependency for dependency, _ in judged),
            tuple(map(_text, one["incomplete"])),
        )
        baseline = one["baseline"]
        return ConsumerReport(
            consumer,
            None if baseline is None else self._kernel(baseline),
            tuple(
                self._finding(told, dependency, by_name)
                for dependency, findings in judged
                for told in findings
            ),
        )

    def _finding(
        self, told: dict[str, Any], dependency: Dependency, by_name: dict[tuple[Any, ...], Dependency]
    ) -> Finding:
        baseline, follows, accepted = told["baseline"], told["follows"], told["accepted"]
        finding = Finding(
            kernel=self._kernels[told["kernel"]],
            dependency=dependency,
            outcome=Outcome(told["outcome"]),
            consequence=_maybe(told["consequence"]) or "",
            evidence=tuple(map(_text, told["evidence"])),
            suggestions=tuple(
                Suggestion(_text(one["text"]), _maybe(one["code"]), _maybe(one["language"]))
                for one in told["suggestions"]
            ),
            uses=tuple(dependency.uses[number] for number in told["uses"]),
            baseline=None if baseline is None else self._kernel(baseline),
            follows=None if follows is None else by_name[_named(follows)],
            cause=None if told["cause"] is None else CAUSES[told["cause"]],
        )
        if accepted is not None:
            self._accepted[id(finding)] = self._acceptance(accepted)
        return finding

    def _acceptance(self, told: dict[str, Any]) -> Acceptance:
        """One that several findings have is one: they are told together."""
        key = json.dumps({name: value for name, value in told.items() if name != "findings"})
        if key not in self._acceptances:
            self._acceptances[key] = Acceptance(
                dependency=_maybe(told["dependency"]),
                reason=_text(told["reason"]),
                kernels=tuple(map(Selector.parse, told["kernels"])),
                consumers=tuple(map(_text, told["consumers"])),
                outcome=Outcome(told["outcome"]),
                expires=None if told["expires"] is None else date.fromisoformat(told["expires"]),
                causes=tuple(CAUSES[word] for word in told["causes"]),
            )
        return self._acceptances[key]


def _kernel(told: dict[str, Any]) -> Kernel:
    return Kernel(
        _text(told["distro"]),
        _text(told["release"]),
        _maybe(told["version"]),
        _text(told["base_version"]),
        _text(told["flavor"]),
        _text(told["arch"]),
    )


def _of_id(identity: str) -> Kernel:
    """A kernel of which only the id is known, which tells all but what a person may have said otherwise."""
    distro, release, *version, arch = map(unquote, identity.split("_"))
    return Kernel.from_release(release, version=version[0] if version else None, distro=distro, arch=arch)


def _dependency(told: dict[str, Any]) -> Dependency:
    crc = told["crc"]
    return Dependency(
        *_named(told),
        uses=tuple(map(_use, told["uses"])),
        crc=None if crc is None else int(crc),
        expected=_maybe(told["expected"]),
    )


def _use(told: dict[str, Any]) -> Use:
    guard = told["guard"]
    return Use(
        program=_maybe(told["program"]),
        file=_maybe(told["file"]),
        line=_number(told["line"]),
        text=_maybe(told["text"]),
        instruction=_number(told["instruction"]),
        relocation=_number(told["relocation"]),
        guard=None if guard is None else _guard(guard),
    )


def _guard(told: dict[str, Any]) -> Guard:
    return Guard(
        _text(told["text"]),
        conditions=tuple(map(_condition, told["conditions"])),
        instead=tuple(map(_condition, told["instead"])),
        catch=_maybe(told["catch"]),
    )


def _condition(told: dict[str, Any]) -> Condition:
    kind, name, mechanism = _named(told)
    return Condition(kind, name, told["holds"] is True, mechanism)


def _named(told: dict[str, Any]) -> tuple[Kind, str, Mechanism | None]:
    mechanism = told["mechanism"]
    return Kind(told["kind"]), _text(told["name"]), None if mechanism is None else Mechanism(mechanism)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _maybe(value: object) -> str | None:
    return None if value is None else _text(value)


def _number(value: object) -> int | None:
    if value is not None and not isinstance(value, int):
        raise TypeError(f"{value!r} is no number")
    return value
