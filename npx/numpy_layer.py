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

from npx.array.ndarray import ndarray, payload, wrap
from npx.dispatch.interpreter import Tracer
from npx.dispatch.locks import lock_for_all

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
    matrixlib.defmatrix _core.records _core.defchararray _core.memmap lib.mixins lib.recfunctions
    ma.core ma.extras ma.mrecords
    """.split()
)

#: modules whose functions other modules call through npx's public ones, which know what to do where an op is missing
CALL_LIBRARIES = ("numpy.linalg._linalg", "numpy.fft._pocketfft")

#: module -> names whose objects stay NumPy's: what is compared by identity
SHARED = {"numpy.ma.core": ("MaskedConstant", "masked", "masked_singleton")}

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
    method = getattr(method, "_npx_version_of", method)  # of a protocol method, the one that was defined
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
        for name in SHARED.get(self.__name__, ()):
            setattr(self, name, getattr(origin, name))
        for name, value in list(vars(self).items()):
            if isinstance(value, type) and issubclass(value, (tuple, BaseException, numpy.generic)):
                setattr(self, name, getattr(origin, name))  # classes of results, exceptions and scalars stay NumPy's
            elif _is_defined_by(value, self):
                value.__module__ = "npx" + value.__module__.removeprefix("numpy")  # where pickle finds it
        self._state = "done"


def _override(layer, name, version):
    """Put a version in its place; the method of a class stays reachable as ``_npx_<name>``."""
    owner, _, attribute = name.rpartition(".")
    if not owner:
        setattr(layer, name, version)
        return
    cls = vars(layer)[owner]
    if attribute in vars(cls):
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

    def visit_ClassDef(self, node):
        """A class of arrays gets NumPy's own class as its last base, for code that asks `isinstance` of that."""
        self.generic_visit(node)
        if node.bases:
            beside = ast.parse(f"_npx_beside({self.name!r}, {node.name!r})", mode="eval").body
            node.bases.append(ast.Starred(beside, ast.Load()))
            ast.fix_missing_locations(ast.copy_location(node.bases[-1], node))
        return node

    def visit_Call(self, node):
        """A method of NumPy's own objects that gives or takes NumPy's arrays becomes a helper: see `METHODS`."""
        self.generic_visit(node)
        helper = METHODS.get((getattr(node.func, "attr", None), len(node.args)))
        if helper is None:
            return node
        call = ast.Call(ast.Name(helper, ast.Load()), [node.func.value, *node.args], node.keywords)
        return ast.fix_missing_locations(ast.copy_location(call, node))

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

    Under `jit` a condition for a warning is not asked for either: it would split the graph.
    """
    p = payload(condition) if isinstance(condition, ndarray) else condition
    if not isinstance(p, Tracer):
        return condition
    if p.interpreter.captures and not raises:
        return default
    try:
        return bool(condition)
    except TypeError:
        return default


def _code(origin):
    """The compiled source of a NumPy module, with its imports rewritten."""
    with open(origin.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read(), origin.__file__)
    return compile(_Rewrite(origin.__name__, origin.__package__).visit(tree), origin.__file__, "exec")


def beside(module_name, name):
    """The base that a class of a re-executed module gets besides its own: NumPy's class, if that holds arrays."""
    original = getattr(sys.modules[module_name], name, None)
    return (original,) if isinstance(original, type) and issubclass(original, numpy.ndarray) else ()


def as_array(x):
    """``x.__array__()`` as a plain array of npx's; of a subclass it is NumPy's."""
    return _expose(numpy.asarray)(x)


def view(x, *args):
    """``x.view(*args)``, also of a scalar or a NumPy array, to which the array class means nothing."""
    if any(a is ndarray for a in args) and isinstance(x, (numpy.generic, numpy.ndarray)) and type(type(x)) is type:
        return wrap(x.view(*(numpy.ndarray if a is ndarray else a for a in args)))
    return x.view(*args)


#: what rewritten code calls
HELPERS = {
    "_npx_bind": bind,
    "_npx_star": star,
    "_npx_check": check,
    "_npx_beside": beside,
    "_npx_asarray": as_array,
    "_npx_view": view,
}

#: method and number of its arguments -> the helper that is called instead, with the object first
METHODS = {("__array__", 0): "_npx_asarray", ("view", 1): "_npx_view", ("view", 2): "_npx_view"}


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
