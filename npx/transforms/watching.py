"""Looking at the numbers behind payloads: who asks for it, and how."""

import contextvars

from npx.dispatch.interpreter import Tracer

#: the `npx.transforms.debugging.Watch` of `debug_gradients` that is on in this context, or None
watching = contextvars.ContextVar("npx.debug_gradients", default=None)

#: where tracers keep the payloads one level down
PARTS = ("primal", "tangent", "payload")


def numbers(payload):
    """The arrays and numbers, of the host or a device, behind a payload at all levels; none where not known yet."""
    if not isinstance(payload, Tracer):
        yield payload
        return
    for part in PARTS:
        if (below := getattr(payload, part, None)) is not None:
            yield from numbers(below)
