"""Series: every kernel in one group, every label unique there and as short as can be."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksurf.kernel import Kernel
from ksurf.series import default_baseline, group


def kernel(
    release: str, version: str | None = None, distro: str = "debian", arch: str | None = None
) -> Kernel:
    return Kernel.from_release(release, version=version, distro=distro, arch=arch)


CLOUD = {
    base: kernel(release, version)
    for base, release, version in [
        ("5.10", "5.10.0-46-cloud-amd64", "5.10.262-1"),
        ("6.1", "6.1.0-56-cloud-amd64", "6.1.192-2"),
        ("6.12", "6.12.117+deb13-cloud-amd64", "6.12.117-1"),
        ("7.3", "7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1"),
    ]
}


def labels(members: tuple[object, ...]) -> list[str]:
    return [str(getattr(member, "label")) for member in members]  # noqa: B009


def test_the_labels_of_an_ordinary_dataset() -> None:
    others = [
        kernel("6.12.117+deb13-cloud-arm64", "6.12.117-1"),
        kernel("6.12.113+deb13-riscv64", "6.12.113-1"),
        kernel("6.12.113+deb13-powerpc64le", "6.12.113-1"),
        kernel("6.12.117+deb13-amd64", "6.12.117-1"),
        kernel("6.12.117+deb13-rt-amd64", "6.12.117-1"),
    ]
    groups = group([*reversed(CLOUD.values()), *others], CLOUD["6.12"])
    assert labels(groups.regular) == ["5.10", "6.1", "6.12", "7.3"]
    assert labels(groups.arch) == ["arm64", "ppc64el", "riscv64"]
    assert labels(groups.flavor) == ["generic", "rt"]
    assert groups.baseline == CLOUD["6.12"]


def test_labels_grow_only_where_they_must() -> None:
    older = kernel("6.12.94+deb13-cloud-amd64", "6.12.94-1")
    rebuilt = kernel("6.12.94+deb13.1-cloud-amd64", "6.12.94-2")
    assert labels(group([older, CLOUD["6.1"]], CLOUD["6.12"]).regular) == ["6.1", "6.12.94", "6.12.117"]
    assert labels(group([older, rebuilt], CLOUD["6.12"]).regular) == ["6.12.94-1", "6.12.94-2", "6.12.117"]

    arm = [
        kernel("6.1.0-56-arm64", "6.1.192-2"),
        kernel("6.12.117+deb13-arm64", "6.12.117-1"),
        kernel("6.12.117+deb13-cloud-arm64", "6.12.117-1"),
        kernel("6.12.113+deb13-riscv64", "6.12.113-1"),
    ]
    # "arm64 generic" would mean two kernels.
    assert labels(group(arm, CLOUD["6.12"]).arch) == [
        *("arm64 6.1", "arm64 cloud", "arm64 6.12 generic", "riscv64"),
    ]


def test_the_same_version_from_two_distributions() -> None:
    ubuntu = kernel("6.12.0-5-generic", "6.12.0-5.5", "ubuntu", "amd64")
    groups = group([kernel("6.12.0-1-amd64", "6.12.0-1")], ubuntu)
    assert labels(groups.regular) == ["debian 6.12", "ubuntu 6.12"]


def test_the_default_baseline_is_in_the_largest_series_where_most_others_can_be_compared() -> None:
    arm = kernel("6.12.117+deb13-cloud-arm64", "6.12.117-1")
    assert default_baseline([*CLOUD.values(), arm]) == CLOUD["6.12"]
    assert default_baseline(CLOUD.values()) == CLOUD["7.3"]
    assert default_baseline([arm, CLOUD["5.10"]]) == CLOUD["5.10"]
    assert default_baseline([kernel("6.1.0-1-riscv64"), kernel("6.1.0-1-arm64")]).arch == "arm64"
    with pytest.raises(ValueError, match="no kernel"):
        default_baseline([])


kernels = st.builds(
    Kernel,
    distro=st.sampled_from(["debian", "ubuntu"]),
    release=st.sampled_from(["6.12.1-amd64", "6.12.2-cloud-arm64", "6.1.0-5-amd64", "6.1.0-6-amd64"]),
    version=st.sampled_from([None, "6.12.1-1", "6.12.1-2", "6.1.9-1", "6.1"]),
    base_version=st.sampled_from(["6.1", "6.12"]),
    flavor=st.sampled_from(["generic", "cloud", "6.1"]),
    arch=st.sampled_from(["amd64", "arm64", "riscv64"]),
)
# A dataset holds one kernel per id.
datasets = st.lists(kernels, min_size=1, max_size=12, unique_by=lambda one: one.id)


@given(datasets, st.data())
def test_groups_are_a_partition_with_unique_labels(dataset: list[Kernel], data: st.DataObject) -> None:
    baseline = data.draw(st.sampled_from(dataset))
    groups = group(dataset, baseline)
    parts = [groups.regular, groups.arch, groups.flavor]
    assert sorted(member.kernel for part in parts for member in part) == sorted(dataset)
    for part in parts:
        assert len({member.label for member in part}) == len(part)
    regular = [member.kernel for member in groups.regular]
    assert baseline in regular
    assert regular == sorted(regular)
    assert {(k.arch, k.flavor) for k in regular} == {(baseline.arch, baseline.flavor)}
    assert all(member.kernel.arch != baseline.arch for member in groups.arch)
    assert all(member.kernel.arch == baseline.arch for member in groups.flavor)


@given(datasets)
def test_the_result_does_not_depend_on_the_order_given(dataset: list[Kernel]) -> None:
    shuffled = random.Random(0).sample(dataset, len(dataset))
    baseline = default_baseline(dataset)
    assert default_baseline(shuffled) == baseline
    assert group(shuffled, baseline) == group(dataset, baseline)
