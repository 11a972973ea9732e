"""The array: a class that holds a payload, its views, and how it meets other libraries."""

from npx.array import metaclass as _metaclass  # gives the class its own class
from npx.array import slow as _slow  # completes the class
from npx.array import traced as _traced  # its operators under transforms
