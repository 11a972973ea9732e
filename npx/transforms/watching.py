"""Looking at the numbers behind payloads: who asks for it, and how."""

import contextvars

import numpy

from npx.dispatch import registry
from npx.dispatch.interpreter import Tracer

#: the `npx.transforms.debugging.Watch` of `debug_gradients` that is on in this context, or None
watching = contextvars.ContextVar("npx.debug_gradients", default=None)

#: where tracers keep the payloads one level down
PARTS = ("primal", "tangent", "payload")


def numbers(payload):
    """The host arrays and numbers behind a payload, at all levels; none where they are not known yet."""
    if isinstance(payload, (numpy.ndarray, numpy.generic, int, float, complex)):
        yield payload
    elif isinstance(payload, Tracer):
        for part in PARTS:
            yield from numbers(getattr(payload, part, None))
    elif payload is not None:
        yield registry.backend_for(type(payload)).to_host(payload)
