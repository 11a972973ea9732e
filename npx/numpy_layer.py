"""Composites: NumPy's own Python modules, executed a second time over npx.

What NumPy writes in Python (`numpy.cov`, `numpy.percentile`, `numpy.pad`, ...) is not written again. Each such module
is loaded once more, on first use, with its imports bound to npx: functions of NumPy's C layer become npx's public
functions, Python functions their own re-executed counterparts. The result runs on tracers and device arrays, follows
the installed NumPy exactly, and its tracebacks show NumPy's source lines.
"""

import ast
import importlib
import importlib.util
import inspect
import sys
import types

import numpy

from npx.array.ndarray import ndarray, payload
from npx.dispatch.interpreter import Tracer
from npx.dispatch.locks import lock_for_all
from npx.dispatch.registry import op

#: the modules that are executed again; what else they import from NumPy is the C layer, or does no arithmetic
MODULES = frozenset(
    f"numpy.{name}"
    for name in """
    _core._asarray _core._methods _core.einsumfunc _core.fromnumeric _core.function_base _core.numeric _core.shape_base
    lib._arraypad_impl lib._arraysetops_impl lib._function_base_impl lib._histograms_impl lib._index_tricks_impl
    lib._nanfunctions_impl lib._polynomial_impl lib._scimath_impl lib._shape_base_impl lib._stride_tricks_impl
    lib._twodim_base_impl lib._type_check_impl lib._ufunclike_impl lib._utils_impl
    linalg._linalg fft._helper fft._pocketfft
    polynomial polynomial._polybase polynomial.polynomial polynomial.polyutils polynomial.chebyshev polynomial.hermite
    polynomial.hermite_e polynomial.laguerre polynomial.legendre
    lib.mixins
    """.split()
)

#: modules whose functions other modules call through npx's public ones, which know what to do where an op is missing
CALL_LIBRARIES = ("numpy.linalg._linalg", "numpy.fft._pocketfft")

#: module -> name -> the version in `npx.api` of a Python function that reaches below the array interface
OVERRIDES = {}
#: (module, head of an `if` statement) -> the statement in its place, and the names that it uses
EDITS = {}

_modules = {}
_loading = lock_for_all()
_expose = None


def use_namespace(expose):
    """Set the function that maps an object of NumPy's C layer to npx's counterpart."""
    global _expose
    _expose = expose


def home(obj):
    """The module in which NumPy's source defines a function, class or instance; None for what is not Python."""
    obj = getattr(obj, "_implementation", obj)  # behind __array_function__ dispatch
    if callable(obj) and not isinstance(obj, type):
        obj = inspect.unwrap(obj)
    if isinstance(obj, types.FunctionType):
        return obj.__globals__["__name__"]
    return _home_of_class(obj if isinstance(obj, type) else type(obj))  # an instance: such as numpy.r_


def _home_of_class(cls):
    """The module that defines a class, which its methods know better than its `__module__`."""
    method = next((v for v in vars(cls).values() if isinstance(v, types.FunctionType)), None)
    where = cls.__module__ if method is None else method.__globals__["__name__"]
    return where if isinstance(where, str) else None


def counterpart(obj):
    """The re-executed counterpart of a function, class or instance that a module of `MODULES` defines, or None."""
    where = home(obj)
    if where in OVERRIDES and getattr(obj, "__name__", None) in OVERRIDES[where]:
        return OVERRIDES[where][obj.__name__]
    if where not in MODULES:
        return None
    name = next((name for name, value in vars(sys.modules[where]).items() if value is obj), None)
    return None if name is None else getattr(module(where), name, None)


class Shadow(types.ModuleType):
    """What a NumPy module looks like to re-executed code: each attribute is npx's counterpart of NumPy's."""

    def __getattr__(self, name):
        value = bind(self.__name__, name)
        setattr(self, name, value)
        return value


class Layer(types.ModuleType):
    """A re-executed module; its source runs when an attribute is first asked for."""

    def __init__(self, name):
        super().__init__(name)
        self.__dict__.update(__package__=name.rpartition(".")[0], _state="new", **HELPERS)

    def __getattr__(self, name):
        if f"{self.__name__}.{name}" in MODULES:
            return module(f"{self.__name__}.{name}")
        if not name.startswith("__") or name == "__all__":
            importlib.import_module("npx.api")  # fills OVERRIDES and EDITS; may need a layer itself, so not in the lock
            with _loading:  # another thread waits; the one that loads finds what is there so far, as in any import
                if self._state == "new":
                    self._state = "running"
                    self._execute()
                if name in vars(self):
                    return vars(self)[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def _execute(self):
        origin = importlib.import_module(self.__name__)
        self.__file__ = origin.__file__
        for (name, _), (_, names) in EDITS.items():
            vars(self).update(names if name == self.__name__ else {})
        try:
            exec(_code(origin), self.__dict__)
        except BaseException:
            self._state = "new"
            raise
        for name, version in OVERRIDES.get(self.__name__, {}).items():
            _override(self, name, version)
        for name, value in list(vars(self).items()):
            if isinstance(value, type) and issubclass(value, (tuple, BaseException)):
                setattr(self, name, getattr(origin, name))  # result and exception classes stay NumPy's
            elif _is_defined_by(value, self):
                value.__module__ = "npx" + value.__module__.removeprefix("numpy")  # where pickle finds it
        self._state = "done"


def _override(layer, name, version):
    """Put a version in its place; what was there stays reachable as ``_npx_<name>``, or ``_npx<_name>`` of a class."""
    owner, _, attribute = name.rpartition(".")
    if not owner:
        setattr(layer, f"_npx_{name}", vars(layer).get(name))
        setattr(layer, name, version)
        return
    cls = vars(layer)[owner]
    setattr(cls, f"_npx{attribute}", vars(cls)[attribute])
    setattr(cls, attribute, version)


def _is_defined_by(value, layer):
    if isinstance(value, types.FunctionType):
        return value.__globals__ is vars(layer)
    return isinstance(value, type) and _home_of_class(value) == layer.__name__ and value.__module__.startswith("numpy")


def module(name):
    """npx's counterpart of the NumPy module `name`."""
    found = _modules.get(name)
    if found is None:
        found = _modules.setdefault(name, Layer(name) if name in MODULES else Shadow(name))
    if vars(found).get("_state") == "running":
        with _loading:  # wait, if it is another thread that loads it
            pass
    return found


def bind(module_name, name=None):
    """What `import module_name` (or `from module_name import name`) gives to re-executed code."""
    if name is None:
        return module(module_name)
    if f"{module_name}.{name}" in MODULES:
        return module(f"{module_name}.{name}")
    if module_name in MODULES and module_name not in CALL_LIBRARIES:
        return getattr(module(module_name), name)
    if name in SUBSTITUTES:
        return SUBSTITUTES[name]
    source = importlib.import_module(module_name)
    try:
        real = getattr(source, name)
    except AttributeError:
        if not hasattr(source, "__path__") or importlib.util.find_spec(f"{module_name}.{name}") is None:
            raise
        real = importlib.import_module(f"{module_name}.{name}")
    if isinstance(real, types.ModuleType):
        return module(real.__name__) if real.__name__.startswith("numpy") else real
    if callable(real) and not isinstance(real, numpy.ufunc) and home(real) not in CALL_LIBRARIES:
        again = counterpart(real)
        if again is not None:
            return again
    return _expose(real)


def star(module_name):
    """The names that `from module_name import *` gives to re-executed code."""
    source = importlib.import_module(module_name)
    return {name: bind(module_name, name) for name in source.__all__}


class _Rewrite(ast.NodeTransformer):
    """Turn imports from NumPy into calls of `bind` and `star`, and checks that only complain into calls of `check`."""

    def __init__(self, name, package):
        self.name, self.package = name, package

    def visit_Import(self, node):
        mine = [a for a in node.names if a.name.partition(".")[0] == "numpy"]
        if not mine:
            return node
        lines = [
            f"{a.asname or 'numpy'} = _npx_bind({a.name if a.asname else 'numpy'!r})" for a in mine
        ]  # `import numpy.x` binds numpy
        others = [a for a in node.names if a not in mine]
        return ([ast.copy_location(ast.Import(others), node)] if others else []) + self._at(node, lines)

    def visit_ImportFrom(self, node):
        source = "." * node.level + (node.module or "")
        source = importlib.util.resolve_name(source, self.package)
        if source.partition(".")[0] != "numpy":
            return node
        if node.names[0].name == "*":
            return self._at(node, [f"globals().update(_npx_star({source!r}))"])
        return self._at(node, [f"{a.asname or a.name} = _npx_bind({source!r}, {a.name!r})" for a in node.names])

    def visit_If(self, node):
        self.generic_visit(node)
        edit = EDITS.get((self.name, f"if {ast.unparse(node.test)}"))
        if edit is not None:
            return self._at(node, [edit[0]])  # its lines all count as the first one of the original
        complaint = _complaint(node)
        if complaint:
            node.test = ast.fix_missing_locations(_checked(node.test, complaint == "raise", False))
        return node

    @staticmethod
    def _at(node, lines):
        statements = [statement for line in lines for statement in ast.parse(line).body]
        for statement in statements:
            for part in ast.walk(statement):
                ast.copy_location(part, node)
        return statements


def _complaint(node):
    """Whether an `if` statement does nothing but "raise" or "warn"; None where it does more."""
    kinds = set()
    for statement in node.body:
        if isinstance(statement, ast.Raise):
            kinds.add("raise")
        elif isinstance(statement, ast.Expr) and ast.unparse(statement).startswith("warnings.warn("):
            kinds.add("warn")
        elif not (isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "msg"):
            return None
    return kinds.pop() if len(kinds) == 1 and not node.orelse else None


def _checked(test, raises, default):
    """The test of such a statement, with each part handed to `check`."""
    if isinstance(test, ast.BoolOp):
        test.values = [_checked(value, raises, default) for value in test.values]
        return test
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test.operand = _checked(test.operand, raises, not default)
        return test
    arguments = [test, ast.Constant(raises), ast.Constant(default)]
    return ast.copy_location(ast.Call(ast.Name("_npx_check", ast.Load()), arguments, []), test)


def check(condition, raises, default):
    """A condition that decides on a warning or an error; `default`, which is silence, where a transform hides it.

    Under `jit` a condition for a warning is not asked for either: it would split the graph. Under `vmap` one warning is
    for all elements.
    """
    p = payload(condition) if isinstance(condition, ndarray) else condition
    if not isinstance(p, Tracer):
        return condition
    if p.interpreter.captures and not raises:
        return default
    try:
        if raises:
            return bool(condition)
        if default:  # the warning is for where it does not hold
            p = op("logical_not")(p)
        return p.interpreter.holds_for_any(p) != default
    except TypeError:
        return default


def _code(origin):
    """The compiled source of a NumPy module, with its imports rewritten."""
    with open(origin.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read(), origin.__file__)
    return compile(_Rewrite(origin.__name__, origin.__package__).visit(tree), origin.__file__, "exec")


#: what rewritten code calls
HELPERS = {"_npx_bind": bind, "_npx_star": star, "_npx_check": check}


# ----------------------------------------------------------------------------- what re-executed code does without
def _undispatched(dispatcher=None, module=None, verify=True, docs_from_dispatcher=False):
    """`array_function_dispatch` without the dispatch: the arrays here are npx's own."""

    def decorate(function):
        if module is not None:
            function.__module__ = module
        return function

    return decorate


def _like_dispatch(reference, function, *args, **kwargs):
    return function(*args, **kwargs)


#: names of `numpy._core.overrides` that mean something else here
SUBSTITUTES = {
    "array_function_dispatch": _undispatched,
    "finalize_array_function_like": lambda function: function,
}
