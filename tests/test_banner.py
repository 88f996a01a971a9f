"""Compiler and linker, as kernels of the last years call them."""

import pytest

from ksurf.dataset.banner import Banner, parse_banner

DEBIAN = "debian-kernel@lists.debian.org"


@pytest.mark.parametrize(
    ("text", "compiler", "linker"),
    [
        (
            f"Linux version 6.12.117+deb13-cloud-amd64 ({DEBIAN}) "
            "(x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0, "
            "GNU ld (GNU Binutils for Debian) 2.44) #1 SMP Debian 6.12.117-1 (2026-10-01)\n",
            "x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0",
            "GNU ld (GNU Binutils for Debian) 2.44",
        ),
        (
            f"Linux version 5.10.0-43-cloud-amd64 ({DEBIAN}) (gcc-10 (Debian 10.2.1-6) 10.2.1 20210110, "
            "GNU ld (GNU Binutils for Debian) 2.35.2) #1 SMP Debian 5.10.251-5 (2026-09-08)",
            "gcc-10 (Debian 10.2.1-6) 10.2.1 20210110",
            "GNU ld (GNU Binutils for Debian) 2.35.2",
        ),
        (
            "Linux version 4.19.0-5-amd64 (a@b) (gcc version 8.3.0 (Debian 8.3.0-7)) #1 SMP Debian 4.19.37-5",
            "gcc version 8.3.0 (Debian 8.3.0-7)",
            None,
        ),
        (
            "Linux version 6.6.0 (a@b) (Ubuntu clang version 18.1.3 (1ubuntu1), Ubuntu LLD 18.1.3) #1 SMP",
            "Ubuntu clang version 18.1.3 (1ubuntu1)",
            "Ubuntu LLD 18.1.3",
        ),
        (
            "Linux version 6.1.23-android14 (build-user@build-host) "
            "(Android (9352603, based on r450784e) clang version 14.0.7 "
            "(https://x.invalid/llvm 4c60), LLD 14.0.7) #1 SMP PREEMPT",
            "Android (9352603, based on r450784e) clang version 14.0.7 (https://x.invalid/llvm 4c60)",
            "LLD 14.0.7",
        ),
        ("Linux version 6.1.0 (a@b) (gcc (GCC) 12.1.0, GNU ld (GNU Binutils) 2.38", None, None),
        ("Linux version 6.1.0 (a@b) #1 SMP", None, None),
        ("Linux version %s (a@b)", None, None),
        ("", None, None),
    ],
)
def test_banners(text: str, compiler: str | None, linker: str | None) -> None:
    assert parse_banner(text) == Banner(compiler, linker)
