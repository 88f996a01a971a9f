"""Pages of files whose units were read before: ``python -m benchmarks.pages DATASET FILE...``.

Prints one object of JSON: for each file the median of making its page, and of each format, in milliseconds.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ksurf.report.source_html import page_html
from ksurf.report.source_json import page_json
from ksurf.report.source_markdown import page_markdown
from ksurf.report.source_terminal import page_text
from ksurf.source.browse import Browser

RUNS = 21


def first_ms(dataset: Path, file: str) -> float:
    """How long a page takes that is not kept, of a kernel whose table of units was read."""
    seconds = []
    for _ in range(RUNS):
        with Browser(dataset) as browser:
            view = browser.view(None, file)
            assert view.kernel is not None, view.missing
            browser.semantics(view.tree, view.kernel)
            start = time.perf_counter()
            browser.page(view, file)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1000


def median_ms(make: Callable[[], object]) -> float:
    """How long it takes."""
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        make()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1000


def main(dataset: Path, files: list[str]) -> None:
    """Measure."""
    found = {}
    with Browser(dataset) as browser:
        for file in files:
            view = browser.view(None, file)
            page = browser.page(view, file)
            assert page.is_semantic, page.layer
            found[file] = {
                "lines": page.line_count,
                "page": first_ms(dataset, file),
                "page again": median_ms(partial(browser.page, view, file)),
                "Markdown": median_ms(partial(page_markdown, page)),
                "JSON": median_ms(partial(page_json, page)),
                "HTML": median_ms(partial(page_html, page)),
                "terminal": median_ms(partial(page_text, page, color=True)),
            }
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
