"""New trees of a dataset: from a package of the archive, an archive of the user's, or a folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ksurf.acquire.debian import SourceOffer
from ksurf.errors import InputError
from ksurf.kernel import Kernel, stable_step, upstream_version
from ksurf.progress import Reporter
from ksurf.source.tree import FILES, SourceTree, Trees, usual_id
from ksurf.source.unpack import (
    Unpacked,
    check_room,
    copy_folder,
    is_package,
    source_version,
    unpack,
    unpacked_byte_size,
)

__all__ = ["add_archive", "add_folder", "make_tree", "nearest_source", "offer_id"]


def offer_id(offer: SourceOffer) -> str:
    """The id of the tree that an offer becomes."""
    return usual_id("debian", offer.package.version)


def nearest_source(sources: Sequence[SourceOffer], kernel: Kernel) -> SourceOffer | None:
    """The source that a kernel was made of, else the nearest of its base version."""
    of_base = [source for source in sources if source.base_version == kernel.base_version]
    for source in of_base:
        if source.package.version == kernel.version:
            return source
    return min(reversed(of_base), key=lambda source: _distance(source, kernel), default=None)


def make_tree(
    trees: Trees, offer: SourceOffer, package: Path, reporter: Reporter, *, verified: bool
) -> SourceTree:
    """Unpack a package of the archive, unless the tree is there."""
    tree_id = offer_id(offer)
    with trees.locked(
        tree_id, on_wait=lambda: reporter.warn(f"waiting for another ksurf that is at {tree_id}")
    ):
        if (known := trees.find(tree_id)) is not None:
            return known
        check_room(trees.dataset, unpacked_byte_size(package), f"the source of {offer.base_version}")
        with trees.workspace(tree_id) as folder:
            found = unpack(package, folder / FILES, reporter)
            _warn(found, package.name, reporter)
            return trees.publish(
                folder,
                tree_id,
                distro="debian",
                package=offer.package.package,
                version=offer.package.version,
                upstream=_version(folder / FILES),
                origin={
                    "kind": "package",
                    "file": package.name,
                    "sha256": offer.package.sha256,
                    "url": offer.package.urls[0],
                    "verified": verified,
                },
                files=found.files,
                byte_size=found.byte_size,
            )


def add_archive(
    trees: Trees, archive: Path, reporter: Reporter, *, distro: str | None = None, name: str | None = None
) -> tuple[SourceTree, bool]:
    """Unpack an archive or a package of the user's, unless that was done; tell if it is new."""
    identity = _control(archive)
    try:
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{archive}: {error.strerror}") from error
    for tree in trees.all():
        if tree.origin.get("sha256") == digest and name in {None, tree.id}:
            return tree, False
    check_room(trees.dataset, unpacked_byte_size(archive), archive.name)
    with trees.workspace("added") as folder:
        found = unpack(archive, folder / FILES, reporter)
        _warn(found, archive.name, reporter)
        upstream = _version(folder / FILES)
        whose = distro or identity.get("distro") or "custom"
        version = identity.get("version")
        tree = trees.publish(
            folder,
            name or usual_id(whose, version or upstream),
            distro=whose,
            package=identity.get("package"),
            version=version,
            upstream=upstream,
            origin={
                "kind": "package" if identity else "tarball",
                "file": str(archive.resolve()),
                "sha256": digest,
            },
            files=found.files,
            byte_size=found.byte_size,
        )
    return tree, True


def add_folder(
    trees: Trees,
    source: Path,
    reporter: Reporter,
    *,
    distro: str | None = None,
    name: str | None = None,
    in_place: bool = False,
) -> SourceTree:
    """Copy a folder with a kernel's source, or use it as it is."""
    source = source.resolve()
    upstream = source_version(source)
    if upstream is None:
        raise InputError(
            f"{source}: no kernel's source: no Makefile with a version in it",
            "name the tree's root, or an archive of it",
        )
    whose = distro or "custom"
    with trees.workspace("added") as folder:
        origin: dict[str, Any] = {"kind": "folder", "path": str(source)}
        found = None
        if in_place:
            origin["in_place"] = True
        else:
            found = copy_folder(source, folder / FILES, reporter)
            _warn(found, str(source), reporter)
        return trees.publish(
            folder,
            name or usual_id(whose, upstream),
            distro=whose,
            upstream=upstream,
            origin=origin,
            files=None if found is None else found.files,
            byte_size=None if found is None else found.byte_size,
        )


def _version(root: Path) -> str:
    version = source_version(root)
    assert version is not None, "what was unpacked has one"
    return version


def _warn(found: Unpacked, name: str, reporter: Reporter) -> None:
    if found.left_out:
        reporter.warn(f"{name}: {found.left_out} files are left out: they are too large for source")


def _control(archive: Path) -> Mapping[str, str]:
    """What a package's control file says of the source in it; nothing of what is no package."""
    from ksurf import _core

    if not is_package(archive):
        return {}
    try:
        control = _core.deb_control(str(archive))
    except OSError as error:
        raise InputError(f"{archive}: {error.strerror}") from error
    except _core.ReadError as error:
        raise InputError(str(error), "the file is damaged or incomplete: fetch it again") from error
    fields = dict(re.findall(r"(?m)^(\S+?):[ \t]*(.*?)[ \t]*$", control))
    if not re.fullmatch(r"linux-source-\d\S*", fields.get("Package", "")):
        raise InputError(
            f"{archive}: {fields.get('Package') or 'it'} has no source of a kernel",
            "what is needed is linux-source-*",
        )
    maintainer = fields.get("Maintainer", "").lower()
    distro = next((distro for distro in ("ubuntu", "debian") if distro in maintainer), "custom")
    return {"package": fields["Package"], "version": fields.get("Version", ""), "distro": distro}


def _distance(source: SourceOffer, kernel: Kernel) -> int:
    ours = upstream_version(source.package.version) or source.base_version
    return abs(stable_step(ours) - stable_step(kernel.upstream))
