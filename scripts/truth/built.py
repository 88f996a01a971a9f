"""What was compiled into a kernel: its configuration and its units, from ksurf's dataset."""

from pathlib import Path

import pyarrow.parquet as pq

from ksurf.dataset.store import Store
from ksurf.errors import DatasetError

__all__ = ["built"]


def built(dataset: Path, kernel_id: str) -> tuple[dict[str, str], dict[str, bool]]:
    """Return the configuration, and of each unit's path if it is (also) a module's."""
    store = Store(dataset)
    if not store.has(kernel_id):
        raise DatasetError(f"{dataset}: there is no kernel {kernel_id}", f"ksurf pull {kernel_id}")
    folder = store.directory(kernel_id)
    options = pq.read_table(folder / "config.parquet", columns=["name", "value"])
    config = dict(zip(options["name"].to_pylist(), options["value"].to_pylist(), strict=True))
    if not config:
        raise DatasetError(f"{dataset}: the configuration of {kernel_id} is not known")
    images = pq.read_table(folder / "images.parquet", columns=["id", "name"])
    names = dict(zip(images["id"].to_pylist(), images["name"].to_pylist(), strict=True))
    units = pq.read_table(folder / "units.parquet", columns=["image", "path"])
    modules: dict[str, bool] = {}
    for image, path in zip(units["image"].to_pylist(), units["path"].to_pylist(), strict=True):
        modules[path] = modules.get(path, False) or names[image] != "vmlinux"
    return config, modules
