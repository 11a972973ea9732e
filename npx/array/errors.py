"""Exceptions that callers of the array layer tell apart."""


class NoOp(TypeError):
    """A ufunc without an op meets a tracer of `interpreter`."""

    def __init__(self, ufunc, interpreter):
        super().__init__(
            f"the ufunc {ufunc.__name__!r} cannot be traced by {interpreter.name}: npx has no derivative of it yet"
        )
        self.interpreter = interpreter
