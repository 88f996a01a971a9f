"""Selectors: what they mean, and what is suggested when they mean nothing."""

import pytest

from ksurf.errors import InputError, NoSuchKernelError
from ksurf.kernel import Kernel
from ksurf.selector import Selector, select

KERNELS = [
    Kernel.from_release(release, version=version, arch=arch, distro=distro)
    for distro, release, version, arch in [
        ("debian", "6.1.0-56-cloud-amd64", "6.1.192-2", "amd64"),
        ("debian", "6.12.94+deb13-cloud-amd64", "6.12.94-1", "amd64"),
        ("debian", "6.12.117+deb13-cloud-amd64", "6.12.117-1", "amd64"),
        ("debian", "6.12.117+deb13-amd64", "6.12.117-1", "amd64"),
        ("debian", "6.12.117+deb13-cloud-arm64", "6.12.117-1", "arm64"),
        ("debian", "6.12.117+deb13-arm64-16k", "6.12.117-1", "arm64"),
        ("debian", "6.12.107+deb13-armmp-lpae", "6.12.107-1", "armhf"),
        ("debian", "7.3-cloud-amd64", "7.3~rc7-1~exp1", "amd64"),
        ("debian", "7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1", "amd64"),
        ("ubuntu", "6.8.0-31-generic", "6.8.0-31.31", "amd64"),
        ("ubuntu", "6.8.0-31-generic-64k", "6.8.0-31.31", "arm64"),
    ]
]


def releases(text: str, pull_on: str | None = None) -> list[str]:
    selector = Selector.parse(text)
    return [
        kernel.release
        for kernel in select(KERNELS, [selector.with_defaults(pull_on) if pull_on else selector])
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("debian:6.12-cloud-arm64", ["6.12.117+deb13-cloud-arm64"]),
        (
            "6.12-cloud",
            ["6.12.94+deb13-cloud-amd64", "6.12.117+deb13-cloud-amd64", "6.12.117+deb13-cloud-arm64"],
        ),
        ("cloud-6.12-aarch64", ["6.12.117+deb13-cloud-arm64"]),
        ("6.12.94", ["6.12.94+deb13-cloud-amd64"]),
        ("6.1", ["6.1.0-56-cloud-amd64"]),
        ("6.1.192", ["6.1.0-56-cloud-amd64"]),
        ("16k", ["6.12.117+deb13-arm64-16k"]),
        ("armhf", ["6.12.107+deb13-armmp-lpae"]),
        ("6.12-armmp-lpae", ["6.12.107+deb13-armmp-lpae"]),
        ("6.8-generic-64k", ["6.8.0-31-generic-64k"]),
        ("ubuntu:6.8-amd64", ["6.8.0-31-generic"]),
        ("6.12.117+deb13-amd64", ["6.12.117+deb13-amd64"]),
        ("debian:6.1.0-56-cloud-amd64", ["6.1.0-56-cloud-amd64"]),
        ("debian_6.12.117+deb13-amd64_6.12.117-1_amd64", ["6.12.117+deb13-amd64"]),
        # The first's release is also words that mean both; its full version, or its id, means only it.
        ("7.3-cloud-amd64", ["7.3-cloud-amd64", "7.3.4+deb13-cloud-amd64"]),
        ("7.3-rc7-cloud-amd64", ["7.3-cloud-amd64"]),
    ],
)
def test_selectors(text: str, expected: list[str]) -> None:
    assert releases(text) == expected


def test_only_pull_takes_the_default_flavor_where_none_is_named() -> None:
    assert releases("6.12.117-amd64") == ["6.12.117+deb13-cloud-amd64", "6.12.117+deb13-amd64"]
    assert releases("6.12.117-amd64", pull_on="arm64") == ["6.12.117+deb13-amd64"]
    assert releases("6.12-cloud", pull_on="arm64") == ["6.12.117+deb13-cloud-arm64"]


def test_an_exact_name_stays_exact_for_pull() -> None:
    for text in ("6.1.0-56-cloud-amd64", "debian_6.1.0-56-cloud-amd64_6.1.192-2_amd64"):
        assert releases(text, pull_on="arm64") == ["6.1.0-56-cloud-amd64"]


def test_several_selectors_are_a_union_in_version_order_without_repetition() -> None:
    selectors = [Selector.parse(text) for text in ("7.3.4", "cloud-arm64", "6.1", "6.1-cloud")]
    assert [kernel.release for kernel in select(reversed(KERNELS), selectors)] == [
        "6.1.0-56-cloud-amd64",
        "6.12.117+deb13-cloud-arm64",
        "7.3.4+deb13-cloud-amd64",
    ]


def test_no_selector_means_all() -> None:
    assert select(reversed(KERNELS), []) == sorted(KERNELS)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("6.12-cluod-arm64", "did you mean the flavor cloud? There: 16k, cloud"),
        ("6.11", "did you mean the version 6.1"),
        ("debian:6.12-64k-amd64", "with another flavor: cloud, generic"),
        ("fedora:6.1", "with another distro: debian"),
        ("6.1.0-57-cloud-amd64", "did you mean 6.1.0-56-cloud-amd64"),
    ],
)
def test_near_misses_are_suggested(text: str, hint: str) -> None:
    with pytest.raises(NoSuchKernelError) as caught:
        releases(text)
    assert caught.value.message == f"no kernel matches {text!r}"
    assert caught.value.hint is not None
    assert hint in caught.value.hint


@pytest.mark.parametrize("text", ["", "  ", ":6.12", "debian:"])
def test_a_selector_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Selector.parse(text)
