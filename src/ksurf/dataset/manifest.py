"""What the dataset knows of a kernel without opening a table: who it is, what it came from, what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ksurf.kernel import Kernel

__all__ = ["ImageCounts", "Manifest", "TableSize", "UnreadableImage"]


@dataclass(frozen=True, slots=True)
class TableSize:
    """How large a table is."""

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """How many rows of each kind an image has."""

    name: str
    evidence: str
    units: int
    instances: int
    symbols: int


@dataclass(frozen=True, slots=True)
class UnreadableImage:
    """An image that is not in the tables, and why."""

    image: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of ``manifest.json``."""

    kernel: Kernel
    source: Mapping[str, Any]
    """What the kernel was read from: its ``kind``, and for a package ``file``, ``sha256`` and more."""
    tables: Mapping[str, TableSize]
    images: tuple[ImageCounts, ...]
    unreadable: tuple[UnreadableImage, ...]
    created: datetime
    tool_version: str
    format_version: int

    @property
    def byte_size(self) -> int:
        """Bytes of all tables together."""
        return sum(size.bytes for size in self.tables.values())

    def to_json(self) -> str:
        """The manifest as it lies on disk."""
        document = {
            "format_version": self.format_version,
            "tool_version": self.tool_version,
            "created": self.created.isoformat(),
            "kernel": {"id": self.kernel.id, **asdict(self.kernel)},
            "source": dict(self.source),
            "tables": {name: asdict(size) for name, size in self.tables.items()},
            "unreadable": [asdict(image) for image in self.unreadable],
            "images": [asdict(image) for image in self.images],
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Manifest:
        """Read a decoded ``manifest.json`` of this format version.

        Raises :class:`KeyError`, :class:`TypeError` or :class:`ValueError` if it is not one.
        """
        identity = dict(document["kernel"])
        named = identity.pop("id")
        kernel = Kernel(**identity)
        if kernel.id != named:
            raise ValueError(f"it is called {named}, and describes {kernel.id}")
        return cls(
            kernel=kernel,
            source=document["source"],
            tables={name: TableSize(**size) for name, size in document["tables"].items()},
            images=tuple(ImageCounts(**image) for image in document["images"]),
            unreadable=tuple(UnreadableImage(**image) for image in document["unreadable"]),
            created=datetime.fromisoformat(document["created"]),
            tool_version=document["tool_version"],
            format_version=document["format_version"],
        )
