"""Plots for slides and pages.

A figure's data is computed first, from a dataset or from what a check said; it is plain, and tells where each
number comes from (:mod:`ksurf.plot.numbers` writes that as CSV or JSON). :func:`~ksurf.plot.drawing.draw`
makes a picture of any of them. matplotlib is loaded by the first picture, and by nothing else.
"""

from ksurf.plot.drawing import FORMS, draw
from ksurf.plot.model.availability import Availability, availability
from ksurf.plot.model.churn import Churn, churn
from ksurf.plot.model.figure import Figure
from ksurf.plot.model.inlining import Inlining, inlining
from ksurf.plot.model.struct_growth import StructGrowth, struct_growth
from ksurf.plot.numbers import numbers_csv, numbers_json
from ksurf.series import Column

__all__ = [
    "FORMS",
    "Availability",
    "Churn",
    "Column",
    "Figure",
    "Inlining",
    "StructGrowth",
    "availability",
    "churn",
    "draw",
    "inlining",
    "numbers_csv",
    "numbers_json",
    "struct_growth",
]
