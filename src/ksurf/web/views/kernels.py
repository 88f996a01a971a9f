"""The kernels of the dataset: what each holds, and what of it could not be read."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ksurf.dataset.banner import parse_banner
from ksurf.dataset.manifest import ImageCounts, Manifest
from ksurf.errors import KsurfError
from ksurf.kernel import Kernel
from ksurf.report.json import SCHEMA_VERSION, kernel_document
from ksurf.report.near import near
from ksurf.selector import two_of
from ksurf.surface.attach import Features, features_of
from ksurf.surface.history import neighbours
from ksurf.web.addresses import LiveAddresses, kernel_path, source_path
from ksurf.web.explorer import Snapshot
from ksurf.web.matrix import table_of
from ksurf.web.pages import NotFoundError, addresses_of, explorer_of, page

__all__ = ["ROUTES", "kernels_named", "page_number"]

_NEAR = 12
_IMAGES = 300
"""Images on a page."""
_BAR = 100
_COUNTED = ("units", "functions", "call_sites", "types", "tracepoints", "syscalls", "exports", "config")
"""Tables whose rows are shown of each kernel."""
EVIDENCE = ("dwarf", "btf", "symtab")
"""What an image tells about functions, most first."""
_FEATURES: Mapping[str, str] = {
    "btf": "vmlinux ships BTF",
    "kprobe_multi": "kprobe.multi: enum bpf_attach_type has BPF_TRACE_KPROBE_MULTI",
    "fprobe": "fprobe, on which kprobe.multi rests (CONFIG_FPROBE)",
    "trampoline": "BPF trampolines, for fentry, fexit, fmod_ret and LSM programs",
    "ftrace_direct": "ftrace calls trampolines directly (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)",
    "unique_kprobes": "refuses kprobes by a name that several symbols have",
    "bpf_lsm": "BPF LSM (CONFIG_BPF_LSM)",
    "trampoline_args": "parameters that a trampoline takes",
}


def kernels_named(snapshot: Snapshot, old: str, new: str) -> tuple[Kernel, Kernel]:
    """The kernels that two ids or selectors mean. Raises :class:`NotFoundError` with near ones."""
    if old in snapshot.by_id and new in snapshot.by_id:
        return snapshot.by_id[old], snapshot.by_id[new]
    for text in (old, new):
        kernel_named(snapshot, text)
    return two_of(snapshot.kernels, old, new)


def kernel_named(snapshot: Snapshot, text: str) -> Kernel:
    """The kernel that an id or a selector means. Raises :class:`NotFoundError` with near ones."""
    try:
        return snapshot.kernel(text)
    except KsurfError as error:
        shown = text if len(text) <= 100 else f"{text[:100]}…"
        named = {name: kernel for kernel in snapshot.kernels for name in (kernel.id, kernel.release)}
        found = list(dict.fromkeys(named[name].id for name in near(text, named, _NEAR)))
        ids = found or [kernel.id for kernel in reversed(snapshot.kernels)][:_NEAR]
        links = [(id_, kernel_path(id_)) for id_ in ids]
        raise NotFoundError(f"no kernel {shown} in the dataset", links, error.hint) from error


def page_number(request: Request) -> int:
    """Which page a query asks for, from 1; what is no number asks for the first."""
    text = request.query_params.get("page", "")
    return max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 9 else 1


@dataclass(frozen=True, slots=True)
class Coverage:
    """A kernel, and of what it was read."""

    manifest: Manifest
    images: int
    evidence: Mapping[str, int]
    """How many images tell what about functions."""
    parts: tuple[tuple[str, int, int], ...]
    """The same as a bar: what, where it begins, how long it is; ``unreadable`` among them."""
    rows: Mapping[str, int | None]

    @property
    def words(self) -> str:
        """The bar in words."""
        parts = [f"{count:,} {word}" for word, count in self.evidence.items()]
        unreadable = len(self.manifest.unreadable)
        return ", ".join([*parts, *([f"{unreadable:,} not readable"] if unreadable else [])])

    @property
    def kernel(self) -> Kernel:
        """Whose it is."""
        return self.manifest.kernel


def coverage_of(manifest: Manifest) -> Coverage:
    """Count what a manifest tells."""
    counted = Counter(image.evidence for image in manifest.images)
    evidence = {word: counted[word] for word in EVIDENCE if counted[word]}
    bars = {**evidence, "unreadable": len(manifest.unreadable)}
    total = sum(bars.values())
    parts = []
    start = 0.0
    for word, count in bars.items():
        share = _BAR * count / total if total else 0
        if share:
            parts.append((word, round(start), max(1, round(start + share) - round(start))))
        start += share
    rows = {table: size.rows if (size := manifest.tables.get(table)) else None for table in _COUNTED}
    return Coverage(manifest, len(manifest.images), evidence, tuple(parts), rows)


def kernels(request: Request) -> Response:
    """All of them, as a page or as JSON."""
    snapshot = explorer_of(request).snapshot()
    if request.url.path.endswith(".json"):
        return _json(
            {
                "schema": "ksurf.kernels",
                "version": SCHEMA_VERSION,
                "kernels": [_brief(manifest) for manifest in snapshot.manifests],
                "refused": [{"id": one.id, "reason": one.reason} for one in snapshot.refused],
            }
        )
    coverage = [coverage_of(manifest) for manifest in snapshot.manifests]
    return page(
        request,
        "kernels.html",
        snapshot=snapshot,
        labels=snapshot.labels,
        table=table_of(snapshot.kernels),
        coverage=coverage,
        counted=_COUNTED,
        evidence=EVIDENCE,
        partly=[one for one in coverage if one.manifest.unreadable or one.manifest.incomplete],
    )


def kernel(request: Request) -> Response:
    """One of them; a selector means the newest that it matches."""
    explorer = explorer_of(request)
    snapshot = explorer.snapshot()
    text: str = request.path_params["id"]
    is_json = text.endswith(".json")
    one = kernel_named(snapshot, text.removesuffix(".json"))
    if text.removesuffix(".json") != one.id:
        path = kernel_path(one.id, "json" if is_json else None)
        return RedirectResponse(LiveAddresses().to(path, dict(request.query_params)), 303)
    manifest = next(own for own in snapshot.manifests if own.kernel == one)
    if is_json:
        return _json({"schema": "ksurf.kernel", "version": SCHEMA_VERSION, **_whole(manifest)})
    pairs = neighbours(snapshot.kernels)
    text = request.query_params.get("image", "").strip()[:100]
    images = [image for image in manifest.images if text.lower() in image.name.lower()]
    # A site has no second page of them.
    most = _IMAGES if isinstance(addresses_of(request), LiveAddresses) else max(1, len(images))
    pages = max(1, math.ceil(len(images) / most))
    start = (min(page_number(request), pages) - 1) * most
    fitting = explorer.browse(lambda browser: browser.trees.fitting(one))
    return page(
        request,
        "kernel.html",
        snapshot=snapshot,
        labels=snapshot.labels,
        kernel=one,
        manifest=manifest,
        coverage=coverage_of(manifest),
        banner=None if manifest.banner is None else parse_banner(manifest.banner),
        source=list(_flat(manifest.source)),
        features=_features(features_of(manifest.marks)),
        attach_types=sorted(manifest.marks.attach_types),
        before=[old for old, new in pairs if new == one],
        after=[new for old, new in pairs if old == one],
        others=[
            other
            for other in snapshot.kernels
            if other.base_version == one.base_version and (other.arch, other.flavor) != (one.arch, one.flavor)
        ],
        images=_sized(images[start : start + most]),
        images_total=len(images),
        images_text=text,
        number=start // most + 1,
        pages=pages,
        tree=fitting,
        tree_path=source_path(fitting.tree.id) if fitting else "",
        here=kernel_path(one.id),
    )


def _sized(images: list[ImageCounts]) -> list[tuple[ImageCounts, int]]:
    """Images, each with a bar as long as the square root of its instances, so that small ones are seen."""
    most = max((image.instances for image in images), default=0)
    return [(one, round(_BAR * math.sqrt(one.instances / most)) if most else 0) for one in images]


def _flat(source: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """What a kernel was read from, as words and values; of lists each."""
    for key, value in source.items():
        head = f"{before}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{head}: ")
        elif isinstance(value, list):
            yield head, ", ".join(map(str, value))
        elif value is not None:
            yield head, f"{value:,}" if isinstance(value, int) else str(value)


def _features(features: Features) -> list[tuple[str, bool | int]]:
    held = asdict(features)
    return [(words, held[name]) for name, words in _FEATURES.items()]


# JSON


def _json(document: Mapping[str, Any]) -> Response:
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    return Response(text, media_type="application/json")


def _brief(manifest: Manifest) -> dict[str, Any]:
    coverage = coverage_of(manifest)
    banner = None if manifest.banner is None else parse_banner(manifest.banner)
    return {
        **kernel_document(manifest.kernel),
        "byte_size": manifest.byte_size,
        "created": manifest.created.isoformat(),
        "compiler": banner.compiler if banner else None,
        "linker": banner.linker if banner else None,
        "evidence": dict(coverage.evidence),
        "tables": {name: size.rows for name, size in manifest.tables.items()},
        "features": asdict(features_of(manifest.marks)),
        "unreadable": [asdict(image) for image in manifest.unreadable],
        "incomplete": [asdict(image) for image in manifest.incomplete],
    }


def _whole(manifest: Manifest) -> dict[str, Any]:
    return {
        **_brief(manifest),
        "source": dict(manifest.source),
        "banner": manifest.banner,
        "attach_types": sorted(manifest.marks.attach_types),
        "tables": {name: asdict(size) for name, size in manifest.tables.items()},
        "images": [asdict(image) for image in manifest.images],
        "tool_version": manifest.tool_version,
        "format_version": manifest.format_version,
    }


ROUTES = [
    Route("/kernels", kernels),
    Route("/kernels.json", kernels),
    Route("/kernels/{id}", kernel),
]
