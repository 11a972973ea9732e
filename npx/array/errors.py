"""Exceptions that callers of the array layer tell apart."""


class NoOp(TypeError):
    """A ufunc without an op meets a tracer of `interpreter`, or arrays on a device where that is None."""

    def __init__(self, ufunc, interpreter):
        where = "run on a device" if interpreter is None else f"be traced by {interpreter.name}"
        super().__init__(f"the ufunc {ufunc.__name__!r} cannot {where}: npx has no op for it yet")
        self.interpreter = interpreter
