"""What ksurf is for, on kernels as Debian ships them: old and new, with KVM as a module and built in."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from real_kernels import Pulled, RealKernels
from report_shape import misshapen

pytestmark = pytest.mark.network

SELECTORS = (
    "debian:5.10-cloud-amd64",
    "debian:6.1-cloud-amd64",
    "debian:6.12-cloud-amd64",
    "debian:7.3-cloud-amd64",
    "debian:6.12-cloud-arm64",
    "debian:6.12-ppc64el",
    "debian:6.12-riscv64",
)
HEADER = "include/linux/kvm_host.h"
NAMES = ("kvm_vcpu_kick", "kvm_make_request")


@pytest.fixture(params=SELECTORS)
def kernel(request: pytest.FixtureRequest, real_kernels: RealKernels) -> Pulled:
    return real_kernels.pull(request.param)


def test_the_configuration_is_that_of_the_build(real_kernels: RealKernels, kernel: Pulled) -> None:
    manifest = json.loads((kernel.tables / "manifest.json").read_text())
    release, version = kernel.kernel.release, kernel.kernel.version
    assert (
        manifest["source"]["config"]["file"] == f"linux-headers-{release}_{version}_{kernel.kernel.arch}.deb"
    )
    rows = real_kernels.ksurf(
        "sql", "SELECT name, value FROM config", "--format", "json", "--on", kernel.kernel.id
    )
    options = {row["name"]: row["value"] for row in json.loads(rows)}
    assert options["CONFIG_BPF_SYSCALL"] == "y"
    assert options["CONFIG_DEBUG_INFO"] == "y"
    assert options["CONFIG_BUILD_SALT"] == release
    assert options["CONFIG_MODULES"] == "y"
    assert len(options) > 3000


def status(real_kernels: RealKernels, name: str, kernel: Pulled) -> dict[str, Any]:
    """What the report says of a function on one kernel."""
    document = json.loads(
        real_kernels.ksurf("show", "function", name, "--format", "json", "--on", kernel.kernel.id)
    )
    ((group,),) = (function["groups"] for function in document["functions"])
    (found,) = group["kernels"]
    assert isinstance(found, dict)
    return found


def test_every_image_was_read(kernel: Pulled) -> None:
    manifest = json.loads((kernel.tables / "manifest.json").read_text())
    assert manifest["unreadable"] == []


def test_kvm_vcpu_kick_is_found_in_kvm_main(real_kernels: RealKernels, kernel: Pulled) -> None:
    found = status(real_kernels, "kvm_vcpu_kick", kernel)
    if {instance["file"] for instance in found["instances"]} == {HEADER}:
        # Since 7.x the header wraps it, so that nothing of this name is left to attach to.
        assert found["statuses"] == ["Duplicate", "Full Inline"]
        found = status(real_kernels, "__kvm_vcpu_kick", kernel)
    assert found["collision"] == "Unique Global"
    (instance,) = found["instances"]
    assert (instance["unit"], instance["file"]) == ("virt/kvm/kvm_main.c",) * 2
    assert instance["image"] in {"vmlinux", "kvm"}
    assert instance["direct_callers"]
    assert all("struct kvm_vcpu *vcpu" in prototype for prototype in found["prototypes"])


def test_kvm_make_request_is_a_function_of_the_header(real_kernels: RealKernels, kernel: Pulled) -> None:
    found = status(real_kernels, "kvm_make_request", kernel)
    units = [instance["unit"] for instance in found["instances"]]
    assert found["collision"] == ("Static Duplication" if len(units) > 1 else "Unique Static")
    assert {instance["file"] for instance in found["instances"]} == {HEADER}
    assert all(instance["inlined"] and instance["inline_callers"] for instance in found["instances"])


def test_kvm_make_request_is_fully_inlined_where_the_published_report_says_so(
    real_kernels: RealKernels,
) -> None:
    found = status(real_kernels, "kvm_make_request", real_kernels.pull("debian:6.12-cloud-arm64"))
    assert found["statuses"] == ["Duplicate", "Full Inline"]
    assert found["symbols"] == []
    callers = {caller["function"] for i in found["instances"] for caller in i["inline_callers"]}
    # The published page of the source file vgic-v4.c shows this very call.
    assert "vgic_v4_doorbell_handler" in callers


@pytest.mark.parametrize("name", NAMES)
def test_the_markdown_report_has_the_published_shape(real_kernels: RealKernels, name: str) -> None:
    kernels = [real_kernels.pull(selector) for selector in SELECTORS]
    on = [word for pulled in kernels for word in ("--on", pulled.kernel.id)]
    baseline = ("--baseline", "6.12-cloud-amd64")
    text = real_kernels.ksurf("show", "function", name, "--format", "md", *baseline, *on)
    assert misshapen(text) is None
    groups = dict(
        re.findall(r"^<b>(\w+)</b>\n<ul>\n(.*?)^</ul>", text.split("## Differences")[0], re.M | re.S)
    )
    labels = {group: re.findall("In <code>([^<]+)</code>", body) for group, body in groups.items()}
    assert labels["Regular"] == ["5.10", "6.1", "6.12", "7.3"]
    assert set(labels["Arch"]) == {"arm64", "ppc64el", "riscv64"}
    assert sum(map(len, labels.values())) == len(kernels)
