"""The addresses of pages: which there are, and how a name stands in one.

An address stays: it is made of what a thing is called, and of ids, never of numbers that a dataset gives. The
page of a symbol has its Markdown and its JSON at the same address with ``.md`` and ``.json`` behind it. No
name of a symbol has a dot but those of fields (``task_struct::se.vruntime``), whose parts are therefore parts
of the address: ``/field/task_struct/se/vruntime``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping
from typing import Protocol
from urllib.parse import quote, unquote, urlencode

__all__ = [
    "FORMS",
    "Addresses",
    "LiveAddresses",
    "SiteAddresses",
    "compare_path",
    "field_name",
    "file_of",
    "kernel_path",
    "source_path",
    "symbol_path",
]

FORMS = ("md", "json")
"""What a symbol's page is given as, beside HTML."""


def symbol_path(kind: str, name: str, form: str | None = None) -> str:
    """The path of a symbol's page: ``/struct/kvm``, ``/field/kvm/mmu_lock.md``."""
    if kind == "field":
        owner, _, path = name.partition("::")
        parts = [owner, *path.split(".")]
    else:
        parts = [name]
    return f"/{kind}/{'/'.join(_quoted(part) for part in parts)}{f'.{form}' if form else ''}"


def field_name(path: str) -> str:
    """The name of a field from the part of an address behind ``/field/``."""
    owner, _, rest = path.partition("/")
    return f"{owner}::{rest.replace('/', '.')}" if rest else owner


def source_path(tree: str, file: str = "") -> str:
    """The path of a file or a folder of a tree: ``/source/debian-7.3/virt/kvm/kvm_main.c``."""
    return "/".join(["/source", *(_quoted(part) for part in (tree, *file.split("/")) if part)])


def kernel_path(id_: str, form: str | None = None) -> str:
    """The path of a kernel's page."""
    return f"/kernels/{_quoted(id_)}{f'.{form}' if form else ''}"


def compare_path(
    old: str, new: str, form: str | None = None, kind: str | None = None, name: str | None = None
) -> str:
    """The path of the comparison of two kernels, by their ids, or of a symbol on them."""
    of_symbol = symbol_path(kind, name) if kind is not None and name is not None else ""
    return f"/compare/{_quoted(old)}/{_quoted(new)}{of_symbol}{f'.{form}' if form else ''}"


def _quoted(part: str) -> str:
    # A part that is nothing but dots would be taken for a way up.
    return quote(part, safe=":") if part.strip(".") else part.replace(".", "%2E")


class Addresses(Protocol):
    """Makes the addresses of links; ``None`` where there is no such page."""

    def to(self, path: str, query: Mapping[str, str] | None = None, anchor: str = "") -> str | None:
        """The address of a path, which is quoted already; of a query only what is not empty stands in it."""


class LiveAddresses:
    """Those of a server."""

    def to(self, path: str, query: Mapping[str, str] | None = None, anchor: str = "") -> str:
        """The address, from the server's root."""
        asked = urlencode({key: value for key, value in (query or {}).items() if value})
        return f"{path}{f'?{asked}' if asked else ''}{f'#{anchor}' if anchor else ''}"


class SiteAddresses:
    """Those of files: relative to the file that they stand in, and only of pages that are there."""

    def __init__(self, pages: Collection[str], here: str) -> None:
        """Name the paths that the site has, and that of the page that links."""
        self._pages = {unquote(page) for page in pages}
        self._here = file_of(here)

    def to(self, path: str, query: Mapping[str, str] | None = None, anchor: str = "") -> str | None:
        """The address from this page; nothing answers queries in a site."""
        if unquote(path) not in self._pages or any((query or {}).values()):
            return None
        target = quote(file_of(path), safe="/:%")
        way = posixpath.relpath(target, posixpath.dirname(quote(self._here, safe="/:%")) or ".")
        if ":" in way.partition("/")[0]:  # else it were a scheme
            way = f"./{way}"
        return f"{way}{f'#{anchor}' if anchor else ''}"


def file_of(path: str) -> str:
    """The file of a site that holds a page, relative to the site's folder."""
    plain = unquote(path).strip("/")
    if not plain:
        return "index.html"
    name = plain.rpartition("/")[2]
    is_whole = name.endswith(tuple(f".{form}" for form in FORMS)) or plain.startswith("static/")
    return plain if is_whole else f"{plain}.html"
