"""Kernels: reading releases, and an order that is total and Debian's."""

import itertools

import pytest
from debian.debian_support import NativeVersion
from hypothesis import given
from hypothesis import strategies as st

from ksurf.kernel import GENERIC, Kernel, arch_name, parse_release, stable_step, upstream_version, version_key


@pytest.mark.parametrize(
    ("release", "base", "flavor", "arch", "distro"),
    [
        ("5.10.0-46-cloud-amd64", "5.10", "cloud", "amd64", "debian"),
        ("6.1.0-56-amd64", "6.1", GENERIC, "amd64", "debian"),
        ("6.1.0-0.deb11.48-amd64", "6.1", GENERIC, "amd64", "debian"),
        ("4.19.0-0.bpo.3-cloud-amd64", "4.19", "cloud", "amd64", "debian"),
        ("6.12.117+deb13-cloud-amd64", "6.12", "cloud", "amd64", "debian"),
        ("6.12.115+deb13.1-rt-amd64", "6.12", "rt", "amd64", "debian"),
        ("6.12.95+deb12-arm64-16k", "6.12", "16k", "arm64", "debian"),
        ("6.12.113+deb13-powerpc64le", "6.12", GENERIC, "ppc64el", "debian"),
        ("6.12.113+deb13-powerpc64le-64k", "6.12", "64k", "ppc64el", "debian"),
        ("6.12.113+deb13-riscv64", "6.12", GENERIC, "riscv64", "debian"),
        ("6.12.107+deb13-s390x", "6.12", GENERIC, "s390x", "debian"),
        ("6.1.0-50-s390x", "6.1", GENERIC, "s390x", "debian"),
        ("6.12.107+deb13-armmp", "6.12", GENERIC, "armhf", "debian"),
        ("6.12.107+deb13-armmp-lpae", "6.12", "lpae", "armhf", "debian"),
        ("6.1.0-54-rt-armmp", "6.1", "rt", "armhf", "debian"),
        ("7.3.4+deb13-cloud-amd64", "7.3", "cloud", "amd64", "debian"),
        ("7.3-cloud-amd64", "7.3", "cloud", "amd64", "debian"),
        ("7.3-amd64", "7.3", GENERIC, "amd64", "debian"),
        ("5.18.0-trunk-amd64", "5.18", GENERIC, "amd64", "debian"),
        ("5.10.0-32-686-pae", "5.10", GENERIC, "i386", "debian"),
        ("5.10.0-32-686", "5.10", "686", "i386", "debian"),
        ("5.10.0-32-rt-686-pae", "5.10", "rt", "i386", "debian"),
        ("5.4.0-26-generic", "5.4", GENERIC, None, "ubuntu"),
        ("6.8.0-31-lowlatency", "6.8", "lowlatency", None, "ubuntu"),
        ("5.15.0-1008-aws", "5.15", "aws", None, "ubuntu"),
        ("6.8.0-31-generic-64k", "6.8", "generic-64k", None, "ubuntu"),
        ("6.5.6-300.fc39.x86_64", "6.5", GENERIC, "amd64", "fedora"),
        ("5.14.0-427.13.1.el9_4.aarch64+64k", "5.14", "64k", "arm64", "rhel"),
        ("6.4.0-150600.21-default", "6.4", GENERIC, None, None),
        ("6.6.87.2-microsoft-standard-WSL2", "6.6", "microsoft-standard-WSL2", None, None),
        ("6.12.47+rpt-rpi-v8", "6.12", "rpi-v8", None, None),
        ("6.12.0+", "6.12", GENERIC, None, None),
        ("6.12.0-rc3-00123-gabcdef0-dirty", "6.12", GENERIC, None, None),
        ("6.12.0-mine", "6.12", "mine", None, None),
        ("6.12.0-mine-amd64", "6.12", "mine", "amd64", None),
        ("6.12", "6.12", GENERIC, None, None),
    ],
)
def test_releases_are_read_as_distributions_spell_them(
    release: str, base: str, flavor: str, arch: str | None, distro: str | None
) -> None:
    assert parse_release(release) == (base, flavor, arch, distro)


@pytest.mark.parametrize("release", ["", "mine", "v6.12", "6", "6-amd64"])
def test_a_release_without_a_version_is_refused(release: str) -> None:
    with pytest.raises(ValueError, match="does not begin with a version"):
        parse_release(release)


def test_what_is_named_wins_over_the_release() -> None:
    kernel = Kernel.from_release("6.12.1-cloud-amd64", distro="mine", arch="aarch64", flavor="x", version="2")
    assert kernel == Kernel("mine", "6.12.1-cloud-amd64", "2", "6.12", "x", "arm64")


def test_an_architecture_that_nothing_tells_is_refused() -> None:
    with pytest.raises(ValueError, match="does not tell the architecture"):
        Kernel.from_release("6.8.0-31-generic")


def test_ids_are_unique_and_safe_as_file_names() -> None:
    kernel = Kernel.from_release("6.12.117+deb13-cloud-amd64", version="6.12.117-1")
    assert kernel.id == "debian_6.12.117+deb13-cloud-amd64_6.12.117-1_amd64"
    assert Kernel.from_release("6.12.117+deb13-cloud-amd64").id == "debian_6.12.117+deb13-cloud-amd64_amd64"
    odd = Kernel.from_release("6.12.0-a_b/../c\n", version="1:2", distro="..", arch="x y")
    assert odd.id == "%2e._6.12.0-a%5fb%2f..%2fc%0a_1%3a2_x%20y"


@pytest.mark.parametrize(
    ("version", "release", "upstream"),
    [
        ("6.12.117-1", "6.12.117+deb13-amd64", "6.12.117"),
        ("6.1.192-2", "6.1.0-56-amd64", "6.1.192"),
        ("7.3~rc7-1~exp1", "7.3-amd64", "7.3-rc7"),
        ("7.3.4-1~bpo13+1", "7.3.4+deb13-amd64", "7.3.4"),
        (None, "6.1.0-56-amd64", "6.1.0"),
        ("1.0", "6.12.3-mine", "6.12.3"),
    ],
)
def test_the_full_version_is_the_packages_where_that_is_a_kernels(
    version: str | None, release: str, upstream: str
) -> None:
    assert Kernel.from_release(release, version=version, arch="amd64").upstream == upstream


def test_versions_match_by_dotted_beginning() -> None:
    kernel = Kernel.from_release("6.1.0-56-amd64", version="6.1.192-2")
    assert all(map(kernel.is_version, ["6", "6.1", "6.1.192", "6.1.0"]))
    assert not any(map(kernel.is_version, ["6.1.19", "6.12", "5", "6.1.1920"]))


def test_architectures_go_by_debians_names() -> None:
    names = ["x86_64", "aarch64", "armv7l", "ppc64le", "riscv64", "s390x", "i686", "AMD64", "pdp11"]
    assert [arch_name(name) for name in names] == [
        *("amd64", "arm64", "armhf", "ppc64el", "riscv64", "s390x", "i386", "amd64"),
        None,
    ]


versions = st.builds(
    lambda epoch, upstream, revision: epoch + upstream + revision,
    st.sampled_from(["", "0:", "1:"]),
    st.from_regex(r"[0-9][0-9a-zA-Z.+~]{0,7}", fullmatch=True),
    st.one_of(st.just(""), st.from_regex(r"-[0-9a-zA-Z.+~]{1,5}", fullmatch=True)),
).filter(lambda text: text.isascii())


@given(versions, versions)
def test_versions_sort_as_debians(left: str, right: str) -> None:
    ours = (version_key(left) > version_key(right)) - (version_key(left) < version_key(right))
    theirs = (NativeVersion(left) > NativeVersion(right)) - (NativeVersion(left) < NativeVersion(right))
    assert ours == theirs


kernels = st.builds(
    Kernel.from_release,
    st.sampled_from(["6.12.1-amd64", "6.12.2+deb13-cloud-arm64", "6.1.0-5-amd64", "6.1.0-5-x_y", "7.0"]),
    version=st.one_of(st.none(), versions),
    distro=st.sampled_from(["debian", "ubuntu", "custom"]),
    arch=st.sampled_from(["amd64", "arm64"]),
    flavor=st.sampled_from([None, "cloud", "rt"]),
)


@given(st.lists(kernels, min_size=3, max_size=3))
def test_the_order_of_kernels_is_total(three: list[Kernel]) -> None:
    for a, b, c in itertools.permutations(three):
        assert (a < b) + (a == b) + (b < a) == 1
        assert not (a < b and b < c) or a < c


@given(kernels, kernels)
def test_kernels_of_one_base_version_sort_as_their_packages(a: Kernel, b: Kernel) -> None:
    if a.version and b.version and a.base_version == b.base_version:
        newer = NativeVersion(a.version) > NativeVersion(b.version)
        assert not newer or a > b


@given(kernels, kernels)
def test_equal_ids_mean_equal_builds(a: Kernel, b: Kernel) -> None:
    named = [(k.distro, k.release, k.version, k.arch) for k in (a, b)]
    assert (a.id == b.id) == (named[0] == named[1])


@given(st.text(max_size=40))
def test_any_release_is_read_or_refused(release: str) -> None:
    try:
        kernel = Kernel.from_release(release, arch="amd64")
    except ValueError:
        return
    assert release.startswith(kernel.base_version)
    assert kernel.flavor
    assert "/" not in kernel.id
    assert upstream_version(release) is not None


def test_candidates_come_before_the_first_of_a_stable_series() -> None:
    versions = ("7.3-rc1", "7.3-rc7", "7.3", "7.3.1", "7.3.12")
    assert [stable_step(one) for one in versions] == [-99, -93, 0, 1, 12]
