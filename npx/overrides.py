"""``__array_function__`` for the public functions, and what happens where a subclass meets a traced array.

NumPy's own dispatch would hand its functions and arrays to the methods that users define; here they get npx's, and the
very objects that were passed. Which arguments count NumPy says itself: its dispatchers are read from its source.
"""

import ast
import functools
import inspect
import types

import numpy
from numpy._core import multiarray
from numpy._core._multiarray_umath import _get_implementing_args

from npx import routing
from npx.array.calling import wrap_result
from npx.array.interop import host_value, is_subclass
from npx.array.ndarray import ndarray, payload
from npx.array.ufunc_overrides import written_for_numpy
from npx.dispatch.interpreter import Tracer

_Dispatched = type(numpy.sum)
_DEFAULT = numpy.ndarray.__array_function__


# ------------------------------------------------------------------------------------------------------ counterparts
def npx_function(function):
    """npx's counterpart of a function or class of NumPy's; any other object itself."""
    from npx import namespace  # makes its functions with this module

    home = getattr(function, "__module__", None) or ""
    return namespace.expose(function) if home.partition(".")[0] == "numpy" else function


def numpy_function(function):
    """The NumPy function that a public function of npx stands for; any other object itself."""
    from npx import namespace

    return namespace.behind(function)


# ------------------------------------------------------------------------------------------------------ dispatch
def dispatch(public, function, args, kwargs):
    """Let an argument's ``__array_function__`` answer the call of a public function.

    Parameters
    ----------
    public, function : callable
        The function of npx, and NumPy's.

    Returns
    -------
    bool, object
        Whether one answered, and what.

    Raises
    ------
    TypeError
        All of them returned NotImplemented.
    """
    if kwargs.get("like") is not None:
        return _dispatch_like(public, function, args, dict(kwargs))
    if type(function) is not _Dispatched:
        return False, None
    try:
        relevant = list(dispatcher(function)(*args, **kwargs))
    except TypeError:
        return False, None  # NumPy complains about the arguments, or declares no dispatcher
    asked = _get_implementing_args(relevant)
    if all(map(_is_default, asked)):
        return (True, _with_numpys_matrix(function, args, kwargs)) if any(map(_is_matrix, asked)) else (False, None)
    kinds = tuple(dict.fromkeys(ndarray if type(x) is numpy.ndarray else type(x) for x in asked))
    for x in asked:
        if not _is_default(x):
            result = type(x).__array_function__(x, public, kinds, args, kwargs)
            if result is not NotImplemented:
                return True, result
        elif all(issubclass(kind, ndarray) for kind in kinds):
            return False, None
    raise TypeError(_no_implementation(public, [type(x) for x in asked]))


def _dispatch_like(public, function, args, kwargs):
    """The call with ``like=``, which is asked alone and not passed on; NumPy brings the arguments to their form."""
    like = kwargs.pop("like")
    kind = type(like)
    if not hasattr(kind, "__array_function__") or _is_default(like):
        return False, None

    def ask(self, _, types, args, kwargs):
        return kind.__array_function__(like, public, (kind,), args, kwargs)

    stand_in = type(kind.__name__, (), {"__array_function__": ask})()
    return True, function(*args, **kwargs, like=stand_in)


def _is_default(x):
    """Whether npx answers for an argument, or NumPy: for arrays, and for classes of libraries that NumPy asks."""
    method = type(x).__array_function__
    return type(x) is ndarray or method is _DEFAULT or written_for_numpy(method)


def _no_implementation(public, kinds):
    name = f"{public.__module__}.{public.__name__}"
    return f"no implementation found for '{name}' on types that implement __array_function__: {kinds}"


def _is_matrix(x):
    return getattr(type(x), "_npx_stands_for", None) is numpy.matrix


def _with_numpys_matrix(function, args, kwargs):
    """Call a NumPy function with ``numpy.matrix`` in the place of npx's: it may ask for just that class."""
    given = {}

    def down(x):
        if type(x) in (list, tuple):
            return type(x)(map(down, x))
        if not _is_matrix(x):
            return payload(x) if type(x) is ndarray else x
        view = numpy.ndarray.view(x, numpy.matrix)
        given[id(view)] = x
        return view

    result = function(*map(down, args), **{key: down(x) for key, x in kwargs.items()})
    return given.get(id(result), wrap_result(result))


# ------------------------------------------------------------------------------------------------------ dispatchers
@functools.cache
def dispatcher(function):
    """The function that picks the relevant ones of the arguments of a function, as NumPy declares it.

    Parameters
    ----------
    function : callable
        A function of NumPy's that dispatches by ``__array_function__``.

    Returns
    -------
    callable or None
        None for a function of another package that is declared in another way.
    """
    implementation = function._implementation
    if isinstance(implementation, types.FunctionType):
        name = _declarations(inspect.getmodule(implementation)).get(implementation.__name__)
        return implementation.__globals__.get(name)
    return _declarations(multiarray).get(function.__name__)


@functools.cache
def _declarations(module):
    """Name of a dispatched function -> its dispatcher, or the name of that where the function itself is in Python."""
    found = {}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        for decorator in getattr(node, "decorator_list", ()):
            declared = ast.unparse(decorator.func) if isinstance(decorator, ast.Call) else ""
            if declared.removeprefix("_") == "array_function_dispatch":  # some import it under a private name
                found[node.name] = ast.unparse(decorator.args[0])
            elif declared == "array_function_from_c_func_and_dispatcher":
                found[node.name] = _defined(node, module)
    return found


def _defined(node, module):
    """The function that a ``def`` without its decorators makes."""
    node.decorator_list = []
    scope = {}
    exec(compile(ast.Module([node], []), module.__file__, "exec"), vars(module), scope)
    return scope[node.name]


# ------------------------------------------------------------------------------------------------------ subclasses
def of_npx_class(x):
    """An array of a class of NumPy's, such as ``numpy.matrix``, as one of npx's class of that name."""
    public = npx_function(type(x))
    return x if public is type(x) else x.view(public)


def first_subclass(args, kwargs):
    """The first array of a subclass among arguments, or in a list or tuple among them; None if there is none."""
    for x in (*args, *kwargs.values()):
        for item in x if type(x) in (list, tuple) else (x,):
            if is_subclass(item):
                return item
    return None


def with_subclass(function, args, kwargs):
    """Call a NumPy function with an array of a subclass and arrays that are traced or on a device: on the host.

    Raises
    ------
    TypeError
        A transform other than `jit` traces an argument.
    """
    instance = first_subclass(args, kwargs)
    for x in () if instance is None else _arrays(args, kwargs):
        if isinstance(x.data_, Tracer) and not x.data_.interpreter.captures:
            host_value(x, type(instance))  # raises
    return routing.through_host(function, args, kwargs)


def _arrays(*items):
    for x in items:
        if type(x) is ndarray:
            yield x
        elif type(x) in (list, tuple, dict):
            yield from _arrays(*(x.values() if type(x) is dict else x))
