"""What the dataset knows of a kernel without opening a table: who it is, what it came from, what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ksurf.dataset.marks import marks_from_json, marks_to_json
from ksurf.dataset.rows import Marks
from ksurf.kernel import Kernel

__all__ = ["ImageCounts", "Manifest", "Segment", "TableSize", "UnreadableImage"]


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
class Segment:
    """A part of the pool of definitions that a kernel needs."""

    name: str
    bytes: int
    own: bool
    """Its size counts for this kernel, which brought it, or is the first that still needs it."""


@dataclass(frozen=True, slots=True)
class UnreadableImage:
    """An image that is not in the tables, or only in part, and why."""

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
    """The kernel's rows of each table; definitions and members count no bytes, those are the segments'."""
    segments: tuple[Segment, ...]
    images: tuple[ImageCounts, ...]
    unreadable: tuple[UnreadableImage, ...]
    incomplete: tuple[UnreadableImage, ...]
    """Images of which a part, named in the reason, is not in the tables."""
    banner: str | None
    """The kernel's ``linux_banner``, where the image tells it."""
    marks: Marks
    """What tells of the kernel's abilities."""
    created: datetime
    tool_version: str
    format_version: int

    @property
    def byte_size(self) -> int:
        """Bytes of all tables together; the sum over a dataset's kernels is the dataset's size."""
        own = sum(segment.bytes for segment in self.segments if segment.own)
        return own + sum(size.bytes for size in self.tables.values())

    def to_json(self) -> str:
        """The manifest as it lies on disk."""
        document = {
            "format_version": self.format_version,
            "tool_version": self.tool_version,
            "created": self.created.isoformat(),
            "kernel": {"id": self.kernel.id, **asdict(self.kernel)},
            "source": dict(self.source),
            "banner": self.banner,
            "marks": marks_to_json(self.marks),
            "tables": {name: asdict(size) for name, size in self.tables.items()},
            "segments": [asdict(segment) for segment in self.segments],
            "unreadable": [asdict(image) for image in self.unreadable],
            "incomplete": [asdict(image) for image in self.incomplete],
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
            segments=tuple(Segment(**segment) for segment in document["segments"]),
            images=tuple(ImageCounts(**image) for image in document["images"]),
            unreadable=tuple(UnreadableImage(**image) for image in document["unreadable"]),
            incomplete=tuple(UnreadableImage(**image) for image in document["incomplete"]),
            banner=document["banner"],
            marks=marks_from_json(document["marks"], kernel.arch),
            created=datetime.fromisoformat(document["created"]),
            tool_version=document["tool_version"],
            format_version=document["format_version"],
        )
