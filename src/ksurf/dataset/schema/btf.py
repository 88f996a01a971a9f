"""The table of the BTF that images ship."""

from __future__ import annotations

from ksurf.dataset.schema.column import Column, Table, image_column

__all__ = ["BTF"]

BTF = Table(
    name="btf",
    row="one image's BTF, as bytes",
    sorted_by=("image",),
    rows_per_group=1 << 15,
    first_alone=True,
    columns=(
        image_column(),
        Column(
            "bytes",
            "binary",
            "The content of its section `.BTF`, blank where CO-RE never looks; that of a module continues "
            "that of vmlinux.",
            "`.BTF`",
            level=9,
        ),
    ),
)
