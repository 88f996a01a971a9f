"""Selectors: how a person names kernels, ``debian:6.12-cloud-arm64`` or simply ``arm64``."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from ksurf.errors import InputError, NoSuchKernelError
from ksurf.kernel import GENERIC, Kernel, arch_name, version_key

__all__ = ["Selector", "select", "two_of"]

# "686" is a flavor of Debian's, not a version.
_VERSION = re.compile(r"(?:^|-)(?!686(?:-|$))(\d+(?:\.\d+)*(?:[-~]rc\d+)?)(?=-|$)")


@dataclass(frozen=True)
class Selector:
    """``[distro:]words``: words joined by ``-``, each a version, an architecture, or a part of the flavor.

    The same text may also be an exact release or id; ``words`` is false where it can be nothing else.
    What is ``None`` is not asked for: a selector as parsed takes any flavor and any architecture.
    """

    text: str
    name: str
    distro: str | None = None
    version: str | None = None
    arch: str | None = None
    flavor: str | None = None
    words: bool = True

    @classmethod
    def parse(cls, text: str) -> "Selector":
        """Read a selector; raises :class:`~ksurf.errors.InputError` if it says nothing."""
        distro, colon, name = text.strip().rpartition(":")
        if not name or (colon and not distro):
            hint = "try 6.12, arm64, cloud or debian:6.12-cloud-arm64"
            raise InputError(f"the selector {text!r} names no kernel", hint)
        selector = cls(text=text, name=name, distro=distro.lower() or None)
        versions = [found.replace("~", "-") for found in _VERSION.findall(name)]
        words = _VERSION.sub("", name).split("-")
        arches = [arch for word in words if (arch := arch_name(word))]
        flavor = [word for word in words if word and not arch_name(word)]
        # A second number is a build's, so that this is a release; "_" is only in ids.
        if len(versions) > 1 or len(arches) > 1 or "_" in name:
            return replace(selector, words=False)
        return replace(
            selector,
            version=versions[0] if versions else None,
            arch=arches[0] if arches else None,
            flavor="-".join(flavor) or None,
        )

    def with_defaults(self, arch: str) -> "Selector":
        """Return the selector that ``pull`` means: where no flavor is named the default one, else as it is.

        ``arch`` is taken where no architecture is named. An exact release or id stays exact.
        """
        if not self.words:
            return self
        return replace(self, arch=self.arch or arch, flavor=self.flavor or GENERIC)

    def matches(self, kernel: Kernel) -> bool:
        """Tell if the kernel is one of those meant."""
        if self.distro is not None and kernel.distro != self.distro:
            return False
        return self.name in (kernel.release, kernel.id) or (self.words and not self._misses(kernel))

    def _misses(self, kernel: Kernel) -> list[str]:
        """The words that speak against the kernel."""
        return [
            word
            for word in ("distro", "version", "arch", "flavor")
            if (asked := getattr(self, word)) is not None
            and not (kernel.is_version(asked) if word == "version" else getattr(kernel, word) == asked)
        ]

    def suggestion(self, kernels: Iterable[Kernel]) -> str | None:
        """Return what may have been meant: a word that others have there, else near releases and ids."""
        kernels = list(kernels)
        near: dict[str, set[str]] = {}
        if self.words:
            for kernel in kernels:
                if len(missed := self._misses(kernel)) == 1:
                    value = kernel.base_version if missed[0] == "version" else getattr(kernel, missed[0])
                    near.setdefault(missed[0], set()).add(value)
        for word, values in near.items():
            if close := difflib.get_close_matches(str(getattr(self, word)), sorted(values), n=1):
                return f"did you mean the {word} {close[0]}? There: {_listing(values)}"
        if near:
            return "; ".join(f"with another {word}: {_listing(values)}" for word, values in near.items())
        names = {kernel.release for kernel in kernels} | {kernel.id for kernel in kernels}
        close = difflib.get_close_matches(self.name, sorted(names), n=3)
        return f"did you mean {' or '.join(close)}?" if close else None


def _listing(values: Iterable[str]) -> str:
    return ", ".join(sorted(values, key=version_key))


def select(kernels: Iterable[Kernel], selectors: Sequence[Selector]) -> list[Kernel]:
    """Return the kernels that any of the selectors means, in version order; all if there is no selector.

    A selector that matches nothing raises :class:`~ksurf.errors.NoSuchKernelError`, with near misses.
    """
    kernels = sorted(kernels)
    for selector in selectors:
        if not any(map(selector.matches, kernels)):
            raise NoSuchKernelError(f"no kernel matches {selector.text!r}", selector.suggestion(kernels))
    return [kernel for kernel in kernels if not selectors or any(s.matches(kernel) for s in selectors)]


def two_of(kernels: Iterable[Kernel], first: str, second: str) -> tuple[Kernel, Kernel]:
    """The kernels that two selectors mean: the newest of one distribution, arch and flavor, if can be."""

    def fit(pair: tuple[Kernel, Kernel]) -> tuple[bool, bool, bool, Kernel, Kernel]:
        a, b = pair
        return a.distro == b.distro, a.arch == b.arch, a.flavor == b.flavor, a, b

    kernels = list(kernels)
    before, after = (select(kernels, [Selector.parse(text)]) for text in (first, second))
    return max(product(before, after), key=fit)
