"""Series: how the kernels of a dataset stand to one of them, the baseline, and the shortest label of each."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ksurf.kernel import GENERIC, Kernel, version_key

__all__ = ["Column", "Groups", "Member", "columns_of", "default_baseline", "group"]


class Member(NamedTuple):
    """A kernel in its group, under the shortest label that tells it from the others there."""

    label: str
    kernel: Kernel


class Groups(NamedTuple):
    """Kernels around a baseline; each is in exactly one of the three."""

    baseline: Kernel
    regular: tuple[Member, ...]
    """The baseline's architecture and flavor, in version order, itself included."""
    arch: tuple[Member, ...]
    """Other architectures, by architecture, then by version."""
    flavor: tuple[Member, ...]
    """The baseline's architecture in other flavors, by flavor, then by version."""


class Column(NamedTuple):
    """A kernel in a table over all groups: ``Regular``, ``Arch`` or ``Flavor``, and its label there."""

    group: str
    label: str
    kernel: Kernel


def columns_of(groups: Groups) -> tuple[Column, ...]:
    """The kernels of all groups, in their order."""
    named = (("Regular", groups.regular), ("Arch", groups.arch), ("Flavor", groups.flavor))
    return tuple(Column(name, member.label, member.kernel) for name, group in named for member in group)


# Label forms from short to long: a kernel gets the first that, so spelled, means no other of its group.
# The last is the id, which is unique.
_REGULAR = ("{base}", "{upstream}", "{distro} {base}", "{version}", "{distro} {version}", "{release}", "{id}")
_ARCH = (
    "{arch}",
    "{arch} {base}",
    "{arch} {flavor}",
    "{arch} {base} {flavor}",
    "{arch} {upstream}",
    "{arch} {upstream} {flavor}",
    "{distro} {arch} {base} {flavor}",
    "{arch} {version}",
    "{arch} {version} {flavor}",
    "{id}",
)
_FLAVOR = (
    "{flavor}",
    "{flavor} {base}",
    "{flavor} {upstream}",
    "{distro} {flavor} {base}",
    "{flavor} {version}",
    "{id}",
)


def group(kernels: Iterable[Kernel], baseline: Kernel) -> Groups:
    """Divide kernels into those of the baseline's series, other architectures, and other flavors.

    The baseline is in its series whether or not it is among ``kernels``; one that is there twice counts once.
    """
    members = {*kernels, baseline}
    regular = {k for k in members if (k.arch, k.flavor) == (baseline.arch, baseline.flavor)}
    arch = {k for k in members if k.arch != baseline.arch}
    return Groups(
        baseline,
        _labelled(regular, _REGULAR, lambda kernel: ()),
        _labelled(arch, _ARCH, lambda kernel: (kernel.arch,)),
        _labelled(members - regular - arch, _FLAVOR, lambda kernel: (kernel.flavor,)),
    )


def _labelled(
    kernels: set[Kernel], forms: tuple[str, ...], rank: Callable[[Kernel], tuple[str, ...]]
) -> tuple[Member, ...]:
    spelled = {kernel: [form.format_map(_words(kernel)) for form in forms] for kernel in kernels}
    uses = [Counter(labels[form] for labels in spelled.values()) for form in range(len(forms))]
    label = {
        kernel: next((text for text, used in zip(labels, uses, strict=True) if used[text] == 1), kernel.id)
        for kernel, labels in spelled.items()
    }
    # Two forms may spell alike by accident (a flavor named as a version); the id cannot.
    shared = Counter(label.values())
    final = {kernel: text if shared[text] == 1 else kernel.id for kernel, text in label.items()}
    return tuple(Member(final[kernel], kernel) for kernel in sorted(kernels, key=lambda k: (rank(k), k)))


def _words(kernel: Kernel) -> dict[str, str]:
    return {
        "arch": kernel.arch,
        "base": kernel.base_version,
        "distro": kernel.distro,
        "flavor": kernel.flavor,
        "id": kernel.id,
        "release": kernel.release,
        "upstream": kernel.upstream,
        "version": kernel.version or kernel.release,
    }


def default_baseline(kernels: Iterable[Kernel]) -> Kernel:
    """Choose the kernel that a report is laid out around when none is named; the same on every machine.

    First the architecture and flavor with the most kernels (of equals amd64, arm64, ``generic``, or the first
    by name); in it the base version that the most kernels outside share (of equals the newest); of that the
    newest kernel. Raises ``ValueError`` if there are no kernels.
    """
    kernels = set(kernels)
    if not kernels:
        raise ValueError("there is no kernel to choose a baseline from")
    sizes = Counter((kernel.arch, kernel.flavor) for kernel in kernels)
    series = min(sizes, key=lambda s: (-sizes[s], s[0] != "amd64", s[0] != "arm64", s[1] != GENERIC, s))
    inside = {kernel for kernel in kernels if (kernel.arch, kernel.flavor) == series}
    shared = Counter(kernel.base_version for kernel in kernels - inside)
    base = max({k.base_version for k in inside}, key=lambda v: (shared[v], version_key(v), v))
    return max(kernel for kernel in inside if kernel.base_version == base)
