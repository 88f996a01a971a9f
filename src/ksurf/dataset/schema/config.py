"""The table of how the kernel was configured."""

from __future__ import annotations

from ksurf.dataset.schema.column import Column, Table

__all__ = ["CONFIG"]

CONFIG = Table(
    name="config",
    row="one option of the kernel's configuration",
    sorted_by=("name",),
    rows_per_group=1 << 15,
    columns=(
        Column(
            "name", "string", "The option: `CONFIG_BPF_SYSCALL`.", "`.config`", encoding="DELTA_BYTE_ARRAY"
        ),
        Column(
            "value",
            "string",
            "`y`, `m` or `n` (`is not set`), a number as it is written, or a text without its quotes.",
            "`.config`",
            encoding="DICTIONARY",
        ),
    ),
)
