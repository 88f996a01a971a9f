"""The source joined with the surface: for each function and each call of a file, what kernels made of it.

Lines match only the kernels that were built from this very source. On all others a function is found by its
name, and a call by the function that it is written in and the one that is called.
"""

from ksurf.source.join.dispatch import Dispatch, DispatchCall, Field, Stored, file_dispatch
from ksurf.source.join.page import page_facts

__all__ = ["Dispatch", "DispatchCall", "Field", "Stored", "file_dispatch", "page_facts"]
