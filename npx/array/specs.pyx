"""The fields of view specs, of which every view under a transform has one."""


cdef class Spec:
    """The fields of `npx.array.views.ViewSpec`."""

    def __init__(self, name, params, arrays=()):
        fill(self, name, params, arrays)


cdef Spec fill(Spec spec, str name, dict params, tuple arrays):
    spec.name, spec.params, spec.arrays, spec.writeable = name, params, arrays, name != "broadcast_to"
    return spec
