"""One file per sort of page; each names its addresses in ``ROUTES``."""

from ksurf.web.views import calls, check, compare, home, instead, kernels, plots, search, source, symbol

__all__ = ["ROUTES"]

# What has a word of its own comes before the kinds of symbols, which take whatever is left.
_VIEWS = (home, search, kernels, calls, check, compare, instead, plots, source, symbol)
ROUTES = [route for view in _VIEWS for route in view.ROUTES]
