"""The function pass over one image, a process of its own: ``python -m benchmarks.function_pass VMLINUX``."""

import sys

import pyarrow as pa

from ksurf import _core

for stream in _core.extract_files(sys.argv[1], []).tables.values():
    pa.table(stream)
