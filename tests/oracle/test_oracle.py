"""ksurf against the slow reading, for functions drawn at random from a real vmlinux of 6.12.

Symbols and collisions are compared in full. Definitions and calls are compared in the units that were read: all
units that speak of a function for most functions, some of them for those that hundreds of units call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from oracle import judgement
from oracle.dataset import Tables
from oracle.package import take_vmlinux
from oracle.reading import Definition, Image
from oracle.sample import STRATA, Sample, draw
from real_kernels import RealKernels

pytestmark = pytest.mark.network

SELECTOR = "debian:6.12-cloud-amd64"
SEED = 20260117


@pytest.fixture(scope="module")
def image(real_kernels: RealKernels) -> Image:
    kernel = real_kernels.pull(SELECTOR)
    vmlinux = real_kernels.folder / f"vmlinux-{kernel.release}"
    take_vmlinux(real_kernels.package(kernel), vmlinux)
    return Image(vmlinux)


@pytest.fixture(scope="module")
def sample(image: Image, note: pytest.FixtureRequest) -> Sample:
    return draw(image, SEED)


@pytest.fixture(scope="module")
def tables(real_kernels: RealKernels) -> Tables:
    return Tables(real_kernels.pull(SELECTOR).folder)
