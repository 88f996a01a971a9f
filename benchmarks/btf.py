"""The types of one BTF as Arrow tables, a process of its own: ``python -m benchmarks.btf VMLINUX``."""

import sys

from ksurf import _core

for stream in _core.extract_btf(sys.argv[1]).tables.values():
    stream.__arrow_c_stream__()
