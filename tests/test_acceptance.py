"""What ksurf is for, on kernels as Debian ships them: old and new, built in and modular, of four architectures."""

from __future__ import annotations

import re

import pytest
from real_kernels import Pulled, RealKernels

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
ARM64 = "debian:6.12-cloud-arm64"

KERNEL = r"""
<li>
(?:In\ <code>[^<]+</code>:\ Absent\ ⚠️
|<details>
<summary>In\ <code>[^<]+</code>:\ (?:✅|(?:Duplicate|Collision|Full\ Inline|Selective\ Inline|Transformation)
(?:,\ (?:Duplicate|Collision|Full\ Inline|Selective\ Inline|Transformation))*\ ⚠️)</summary>

(?:```c
(?:.+;
)+```

)?\*\*Collision:\*\*\ (?:Unique\ Global|Unique\ Static|Static\ Duplication|Static-Static\ Collision
|Static-Global\ Collision)

\*\*Inline:\*\*\ (?:No|Selective|Full)

\*\*Transformation:\*\*\ (?:True|False)

\*\*Instances:\*\*

(?:```
In\ \S+(?:\ \[\w+\])?\ \([0-9a-f]{16}\)
Location:\ \S+:\d+
Inline:\ (?:True|False)
(?:Inline\ callers:
(?:\ \ -\ \S+:\S+
)+)?(?:Direct\ callers:
(?:\ \ -\ \S+:\S+
)+)?```
)+(?:\*\*Symbols:\*\*

```
(?:[0-9a-f]{16}-[0-9a-f]{16}:\ \S+\ \(STB_\w+\)
)+```
)?</details>)
</li>"""


@pytest.fixture(params=SELECTORS)
def kernel(request: pytest.FixtureRequest, real_kernels: RealKernels) -> Pulled:
    return real_kernels.pull(request.param)


def report(real_kernels: RealKernels, *arguments: str) -> str:
    return real_kernels.ksurf(
        "show", "function", *arguments, "--format", "md", "--dataset", str(real_kernels.dataset)
    )


def test_kvm_vcpu_kick_is_in_kvm_main(real_kernels: RealKernels, kernel: Pulled) -> None:
    text = report(real_kernels, "kvm_vcpu_kick", "--on", kernel.kernel.id)
    assert re.search(r"^In virt/kvm/kvm_main\.c(?: \[kvm\])? \([0-9a-f]+\)$", text, re.MULTILINE)
    assert "Absent" not in text
