"""Patterns of mutation, as NumPy users write them."""

from . import functions, iteration, operators, order, places, programs, records, views
from .registry import PATTERNS

__all__ = ["PATTERNS", "functions", "iteration", "operators", "order", "places", "programs", "records", "views"]
