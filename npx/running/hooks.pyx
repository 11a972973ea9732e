"""Two things that ``python -m npx`` needs and Python code cannot do.

`asking` makes the import functions that ask first. They are in C because the frame of a Python function would stand in
each traceback that leads through an import. `set_members` replaces members of a class that Python takes for immutable.
"""

from cpython.object cimport PyObject, PyTypeObject

cdef extern from *:
    """
    /* `parts`: the function; how the first argument has to begin for `ask` to be asked; and `ask`. */
    static PyObject *npx_ask_first(PyObject *parts, PyObject *const *args, Py_ssize_t n, PyObject *names)
    {
        PyObject *function = PyTuple_GET_ITEM(parts, 0), *start = PyTuple_GET_ITEM(parts, 1), *answer;
        if (n > 0) {
            Py_ssize_t begins = 0;
            if (PyUnicode_Check(args[0]))
                begins = PyUnicode_Tailmatch(args[0], start, 0, PY_SSIZE_T_MAX, -1);
            if (begins < 0)
                return NULL;
            if (!begins)
                return PyObject_Vectorcall(function, args, n, names);
        }
        answer = PyObject_Vectorcall(PyTuple_GET_ITEM(parts, 2), args, n, names);
        if (answer != Py_NotImplemented)
            return answer;
        Py_DECREF(answer);
        return PyObject_Vectorcall(function, args, n, names);
    }

    static PyMethodDef npx_asking = {
        "asking", (PyCFunction)(void (*)(void))npx_ask_first, METH_FASTCALL | METH_KEYWORDS, NULL
    };
    """
    ctypedef struct PyMethodDef:
        pass
    PyMethodDef npx_asking
    object PyCFunction_New(PyMethodDef*, object)
    ctypedef struct ClassFlags "PyTypeObject":
        unsigned long tp_flags
    unsigned long Py_TPFLAGS_IMMUTABLETYPE
    unsigned long Py_TPFLAGS_HAVE_VECTORCALL


def asking(function, str start, ask):
    """A function that leaves no frame in tracebacks and calls `ask` first.

    Parameters
    ----------
    function : callable
    start : str
        ``ask`` is left out where the first argument does not begin with this.
    ask : callable
        Takes the arguments of `function`; its result is returned unless it is ``NotImplemented``.
    """
    return PyCFunction_New(&npx_asking, (function, start, ask))


def set_members(cls, dict members):
    """Set attributes of an extension class, its special methods among them."""
    cdef ClassFlags* kind = <ClassFlags*><PyObject*>cls
    cdef unsigned long immutable = kind.tp_flags & Py_TPFLAGS_IMMUTABLETYPE
    if "__call__" in members:
        kind.tp_flags &= ~Py_TPFLAGS_HAVE_VECTORCALL
    kind.tp_flags &= ~immutable
    try:
        for name, member in members.items():
            type.__setattr__(cls, name, member)
    finally:
        kind.tp_flags |= immutable
