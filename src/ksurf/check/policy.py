"""``ksurf.toml``: which kernels are to be supported, and which findings are accepted, why and how long.

``docs/policy.md`` documents it. What the file says that ksurf does not know is an error: a misspelt key that
is ignored would accept, or let pass, what nobody decided.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ksurf.check.cause import CAUSES, Cause
from ksurf.check.dependency import Kind
from ksurf.check.names import WORDS
from ksurf.check.verdict import Finding, Outcome, Report
from ksurf.errors import InputError, NoSuchKernelError
from ksurf.kernel import Kernel
from ksurf.selector import Selector

__all__ = ["BAD", "FILE_NAME", "Acceptance", "Applied", "Policy", "apply", "load"]

FILE_NAME = "ksurf.toml"
"""Looked for in the current folder where none is named."""

BAD = (Outcome.PARTIAL, Outcome.CHANGED, Outcome.BROKEN)
"""What can be accepted, and what a run can fail on."""

_BYTE_LIMIT = 1 << 20
_WORD_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Findings that somebody has decided to live with."""

    dependency: str | None
    """``function:blk_account_io_start``, the kind and the name; ``*`` and ``?`` stand for any characters;
    any if it is ``None``, and causes are named."""
    reason: str
    kernels: tuple[Selector, ...] = ()
    """On these; on all if empty."""
    consumers: tuple[str, ...] = ()
    """Of these, with ``*`` and ``?``; of all if empty."""
    outcome: Outcome = Outcome.BROKEN
    """As bad as this, or less."""
    expires: date | None = None
    """The last day on which it counts."""
    causes: tuple[Cause, ...] = ()
    """For one of these; for any if empty."""

    @property
    def what(self) -> str:
        """What is accepted, in a few words."""
        causes = ", ".join(cause.value for cause in self.causes)
        return " for ".join(filter(None, (self.dependency, causes)))

    def concerns(self, consumer: str, kernel: Kernel) -> bool:
        """Tell if it speaks of that consumer on that kernel."""
        return (not self.consumers or any(_matches(consumer, name) for name in self.consumers)) and (
            not self.kernels or any(selector.matches(kernel) for selector in self.kernels)
        )

    def covers(self, finding: Finding) -> bool:
        """Tell if it accepts such a finding, of a consumer and on a kernel that it concerns.

        What only follows from something else is accepted with that.
        """
        if finding.outcome > self.outcome or (self.causes and finding.cause not in self.causes):
            return False
        pattern, named = self.dependency, (finding.dependency, finding.follows)
        return pattern is None or any(
            _matches(f"{one.kind.value}:{one.name}", pattern) for one in named if one is not None
        )

    def has_expired(self, today: date) -> bool:
        """Tell if its last day is over."""
        return self.expires is not None and today > self.expires


def _matches(text: str, pattern: str) -> bool:
    # The name itself may have what a pattern reads as a wildcard.
    return text == pattern or fnmatchcase(text, pattern)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a policy file says; what it does not is ``None`` or empty."""

    path: str | None = None
    kernels: tuple[str, ...] = ()
    baseline: str | None = None
    fail_on: Outcome | None = None
    acceptances: tuple[Acceptance, ...] = ()

    @contextmanager
    def asking(self, key: str, *, own: bool) -> Iterator[None]:
        """Name the file and the key where no kernel is as its ``own`` selectors say."""
        try:
            yield
        except NoSuchKernelError as error:
            if not own:
                raise
            raise NoSuchKernelError(f"{self.path}: {key}: {error.message}", error.hint) from error


@dataclass(frozen=True, slots=True)
class Applied:
    """A policy's acceptances over a report."""

    path: str | None
    accepted: Mapping[int, Acceptance]
    """By the ``id`` of the finding, which lives as long as the report does."""
    expired: tuple[tuple[Acceptance, int], ...] = ()
    """Those that are over, and how many findings count again for it."""
    unused: tuple[Acceptance, ...] = ()
    """Those of consumers and kernels of this report that accept nothing in it."""

    def of(self, finding: Finding) -> Acceptance | None:
        """What accepts a finding of the report."""
        return self.accepted.get(id(finding))

    def worst(self, findings: Sequence[Finding]) -> Outcome:
        """The worst outcome that nothing accepts."""
        return max((f.outcome for f in findings if id(f) not in self.accepted), default=Outcome.OK)


def apply(policy: Policy, report: Report, today: date) -> Applied:
    """Find out which findings are accepted. Where several acceptances speak of one, the first counts."""
    accepted: dict[int, Acceptance] = {}
    used: set[int] = set()
    again = [0] * len(policy.acceptances)
    concerned: set[int] = set()
    for one in report.consumers:
        relevant = {
            kernel: [
                number
                for number, acceptance in enumerate(policy.acceptances)
                if acceptance.concerns(one.consumer.name, kernel)
            ]
            for kernel in report.kernels
        }
        for numbers in relevant.values():
            concerned.update(numbers)
        for finding in one.findings if policy.acceptances else ():
            if finding.outcome not in BAD:
                continue
            covering = [n for n in relevant[finding.kernel] if policy.acceptances[n].covers(finding)]
            valid = [n for n in covering if not policy.acceptances[n].has_expired(today)]
            used.update(covering)
            if valid:
                accepted[id(finding)] = policy.acceptances[valid[0]]
            else:
                for number in covering:
                    again[number] += 1
    listed = list(enumerate(policy.acceptances))
    return Applied(
        policy.path,
        accepted,
        tuple((a, again[n]) for n, a in listed if again[n]),
        tuple(a for n, a in listed if n in concerned and n not in used),
    )


def load(path: Path | None) -> Policy:
    """Read a policy: the file named, else that of the current folder, else one that says nothing.

    Raises :class:`~ksurf.errors.InputError`, with the file and the key, for whatever is not as it must be.
    """
    file = path or Path(FILE_NAME)
    try:
        with file.open("rb") as opened:
            data = opened.read(_BYTE_LIMIT + 1)
    except FileNotFoundError as error:
        if path is None:
            return Policy()
        raise InputError(f"{file}: {error.strerror}") from error
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from error
    if len(data) > _BYTE_LIMIT:
        raise InputError(f"{file}: longer than the {_BYTE_LIMIT >> 20} MiB that a policy may have")
    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{file}: {error}", "docs/policy.md says what is in it") from error
    return _Reader(str(file)).policy(document)


class _Reader:
    def __init__(self, path: str) -> None:
        self._path = path

    def _refused(self, key: str, what: str) -> InputError:
        return InputError(f"{self._path}: {key}: {what}", "docs/policy.md says what is in it")

    def policy(self, document: dict[str, Any]) -> Policy:
        self._known(document, ("check", "accept"), "")
        check = document.get("check", {})
        if not isinstance(check, dict):
            raise self._refused("check", "it must be a table: [check]")
        self._known(check, ("kernels", "fail-on", "baseline"), "check.")
        listed = document.get("accept", [])
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise self._refused("accept", "each must be a table: [[accept]]")
        kernels = self._texts(check, "kernels", "check.")
        baseline = self._text(check, "baseline", "check.")
        for key, texts in (("kernels", kernels), ("baseline", [baseline] if baseline else [])):
            for text in texts:
                self._selector(text, f"check.{key}")
        return Policy(
            path=self._path,
            kernels=tuple(kernels),
            baseline=baseline,
            fail_on=self._outcome(check, "fail-on", "check."),
            acceptances=tuple(self._acceptance(one, f"accept[{n}].") for n, one in enumerate(listed, 1)),
        )

    def _acceptance(self, table: dict[str, Any], place: str) -> Acceptance:
        keys = ("dependency", "causes", "kernels", "consumers", "outcome", "reason", "expires")
        self._known(table, keys, place)
        causes = self._causes(table, place)
        dependency = self._text(table, "dependency", place, required=not causes)
        if dependency is not None:
            self._check_dependency(dependency, place)
        reason = self._text(table, "reason", place, required=True) or ""
        if not reason.strip():
            raise self._refused(f"{place}reason", "it must say why this is accepted")
        expires = table.get("expires")
        # A date with a time is a date, too, for Python.
        if expires is not None and (not isinstance(expires, date) or isinstance(expires, datetime)):
            raise self._refused(f"{place}expires", f"{expires!r} is no date: 2027-01-31, without quotes")
        return Acceptance(
            dependency=dependency,
            causes=causes,
            reason=reason.strip(),
            kernels=tuple(
                self._selector(text, f"{place}kernels") for text in self._texts(table, "kernels", place)
            ),
            consumers=tuple(self._texts(table, "consumers", place)),
            outcome=self._outcome(table, "outcome", place) or Outcome.BROKEN,
            expires=expires,
        )

    def _check_dependency(self, text: str, place: str) -> None:
        kind, colon, name = text.partition(":")
        if not (colon and name):
            raise self._refused(f"{place}dependency", f"{text!r} is not KIND:NAME, function:vfs_read")
        kinds = [one.value for one in Kind]
        if not any(fnmatchcase(one, kind) for one in kinds):
            word = kind[:_WORD_LENGTH]
            alike = [WORDS[kind][0].value] if kind in WORDS else get_close_matches(word, kinds, 1)
            there_are = f"is it {alike[0]}?" if alike else f"there are {', '.join(kinds)}"
            raise self._refused(f"{place}dependency", f"no kind {word!r}; {there_are}")

    def _causes(self, table: dict[str, Any], place: str) -> tuple[Cause, ...]:
        words = self._texts(table, "causes", place, example="function-inlined")
        for word in words:
            if word not in CAUSES:
                raise self._refused(f"{place}causes", f"no cause {word!r}: {', '.join(CAUSES)}")
        return tuple(CAUSES[word] for word in words)

    def _known(self, table: dict[str, Any], keys: Sequence[str], place: str) -> None:
        for key in table:
            if key not in keys:
                raise self._refused(f"{place}{key}", f"no such key; there are {', '.join(keys)}")

    def _text(self, table: dict[str, Any], key: str, place: str, *, required: bool = False) -> str | None:
        value = table.get(key)
        if value is None and not required:
            return None
        if value is None:
            raise self._refused(f"{place}{key}", "it is missing")
        if not isinstance(value, str):
            raise self._refused(f"{place}{key}", f"{value!r} is no text")
        return value

    def _texts(
        self, table: dict[str, Any], key: str, place: str, *, example: str = "6.1-cloud-amd64"
    ) -> list[str]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._refused(f"{place}{key}", f'{value!r} is no list of texts: ["{example}"]')
        return value

    def _outcome(self, table: dict[str, Any], key: str, place: str) -> Outcome | None:
        value = self._text(table, key, place)
        if value is None:
            return None
        words = [outcome.value for outcome in BAD]
        if value not in words:
            raise self._refused(f"{place}{key}", f"{value!r} is none of {', '.join(words)}")
        return Outcome(value)

    def _selector(self, text: str, key: str) -> Selector:
        try:
            return Selector.parse(text)
        except InputError as error:
            raise self._refused(key, error.message) from error
