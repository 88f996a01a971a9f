"""SQL over all kernels of a dataset: DuckDB, with a view for each table, and views that answer questions.

A view has the column ``kernel`` in front and names where a person wants them; ``raw_<table>`` has the columns
as they lie on disk (``docs/tables/``). The connection reads the dataset and nothing else: no other file, no
network, no extension, and a statement cannot change that.
"""

from ksurf.dataset.query.attachability import ATTACHABILITY_VIEWS, Judge
from ksurf.dataset.query.connection import Result, connect, query
from ksurf.dataset.query.surface import SURFACE_VIEWS
from ksurf.dataset.query.tables import TABLE_VIEWS

__all__ = ["VIEWS", "Judge", "Result", "connect", "query"]

VIEWS: dict[str, str] = {**TABLE_VIEWS, **SURFACE_VIEWS, **ATTACHABILITY_VIEWS}
"""What each view is for."""
