"""BCC's Python tools: what they attach, and what the C in them needs of the kernel.

``script.py`` follows the Python (``source.py``, ``strings.py`` and ``values.py`` are the Python that it
knows, ``questions.py`` what tools ask a kernel), ``preprocess.py``, ``macros.py`` and ``c_program.py`` read
the C that comes of it, and ``tool.py`` brings both together. Texts know their lines (``text.py``) and what
guards them (``guard.py``).
"""

from ksurf.check.bcc.c_program import TypeOfField
from ksurf.check.bcc.kernel_types import FieldTypes
from ksurf.check.bcc.source import ReadFile
from ksurf.check.bcc.tool import read_tool

__all__ = ["FieldTypes", "ReadFile", "TypeOfField", "read_tool"]
