"""Whether `debug_gradients` is on: what the transforms ask, without loading what it needs."""

import contextvars

#: the `npx.transforms.debugging.Watch` that is on in this context, or None
watching = contextvars.ContextVar("npx.debug_gradients", default=None)
