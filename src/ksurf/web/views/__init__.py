"""One file per sort of page; each names its addresses in ``ROUTES``."""

from ksurf.web.views import calls, compare, home, kernels, search, symbol

__all__ = ["ROUTES"]

# What has a word of its own comes before the kinds of symbols, which take whatever is left.
ROUTES = [*home.ROUTES, *search.ROUTES, *kernels.ROUTES, *calls.ROUTES, *compare.ROUTES, *symbol.ROUTES]
