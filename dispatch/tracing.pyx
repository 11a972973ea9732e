"""What compiled code knows of interpreters and tracers; see `npx.dispatch.interpreter`."""


cdef class InterpreterCore:
    """The fields of an interpreter that dispatch reads."""


cdef class TracerCore:
    """A payload that stands for a value inside a transform."""
