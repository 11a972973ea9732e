"""The source of a function with its loops made visible: what jit records in place of the function itself.

``for i in range(n)`` and ``while`` become calls of `npx.transforms.regions`, with the body as a nested function that
shares the variables of the function around it; so do ``if`` and ``... if ... else ...`` inside such loops. There is
decided, each time, whether Python runs the statement as it always does or whether it becomes a region of the graph.
Line numbers stay, and what cannot be converted stays as it is.
"""

import ast
import builtins
import functools
import inspect
import sysconfig
import textwrap
import types
import weakref

from npx.array.ndarray import capturing
from npx.dispatch.debug import is_own_file, log
from npx.dispatch.interpreter import stack

from .recording import Recorder

HELPER = "__npx__"

#: methods that change their object: a body that calls one must run as often as the program says
CHANGING = frozenset(
    "append appendleft extend insert add update setdefault remove discard clear pop popleft write writelines".split()
)
_NEVER_CALLED_THROUGH = frozenset(dir(builtins))
_OUTSIDE_CONTROL = (
    *(ast.Return, ast.Yield, ast.YieldFrom, ast.Await, ast.Global, ast.Nonlocal, ast.Delete, ast.ClassDef, ast.Try),
    *(ast.Import, ast.ImportFrom, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef, ast.Raise, ast.Match),
)
_PYTHONS_OWN = sysconfig.get_path("stdlib")
_SCOPE_READERS = frozenset(("super", "locals", "vars", "eval", "exec", "dir"))
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

_codes = weakref.WeakKeyDictionary()  # code object -> the converted one, or None


def recording():
    """The recorder of this thread's recording, unless it records no regions; None where there is none."""
    if not capturing():
        return None
    recorder = next((i for i in stack() if type(i) is Recorder), None)
    return recorder if recorder is not None and recorder.abandoned is None and recorder.regions else None


def called(function):
    """What is called in the place of a function of the user's: under `jit` its loops are visible."""
    return function if recording() is None else converted(function)


def converted(fun):
    """A function that does the same, with its loops made visible; `fun` itself where there is nothing to convert."""
    if isinstance(fun, functools.partial):
        return functools.partial(converted(fun.func), *fun.args, **fun.keywords)
    if isinstance(fun, types.MethodType):
        return types.MethodType(converted(fun.__func__), fun.__self__)
    if not isinstance(fun, types.FunctionType) or is_own_file(fun.__code__.co_filename):
        return fun
    if fun.__code__.co_filename.startswith(_PYTHONS_OWN) and "site-packages" not in fun.__code__.co_filename:
        return fun
    code = fun.__code__
    if code not in _codes:
        try:
            _codes[code] = _convert(fun)
        except (OSError, TypeError, SyntaxError, ValueError) as why:  # no source, or none of this function alone
            log("jit", f"{fun.__qualname__} is recorded as it is: {why}")
            _codes[code] = None
    new = _codes[code]
    return fun if new is None else _with_code(fun, new)


def _with_code(fun, code):
    """A function like `fun`, with its cells."""
    from . import regions  # which converts in turn what is called

    cells = dict(zip(fun.__code__.co_freevars, fun.__closure__ or ()))
    cells[HELPER] = types.CellType(regions)
    closure = tuple(cells[name] for name in code.co_freevars)
    new = types.FunctionType(code, fun.__globals__, fun.__name__, fun.__defaults__, closure)
    new.__kwdefaults__, new.__qualname__, new.__dict__ = fun.__kwdefaults__, fun.__qualname__, fun.__dict__
    return new


def _convert(fun):
    """The converted code of a function, or None where it has nothing to convert."""
    code = fun.__code__
    lines, first = inspect.getsourcelines(fun)
    module = ast.parse(textwrap.dedent("".join(lines)))
    ast.increment_lineno(module, first - 1)
    node = _definition(module, fun)
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    words = names | {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    words |= {n.arg for n in ast.walk(node) if isinstance(n, (ast.arg, ast.keyword)) and n.arg}
    if names & _SCOPE_READERS or any(w.startswith("__") and not w.endswith("__") for w in words):
        return None  # the latter are known by other names in a class
    if any(isinstance(n, ast.NamedExpr) for n in ast.walk(node)):
        return None
    if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        return None
    node = _Converter().function(node)
    if not any(isinstance(n, ast.Name) and n.id == HELPER for n in ast.walk(node)):
        return None
    outer = [HELPER, *code.co_freevars]
    factory = ast.parse(f"def factory({', '.join(outer)}):\n    pass").body[0]
    factory.body = [node] if isinstance(node, ast.FunctionDef) else [ast.Expr(node)]
    if isinstance(node, ast.FunctionDef) and node.name not in code.co_freevars:
        factory.body.insert(0, ast.Global([node.name]))  # which a recursive function looks up
    module = ast.Module([factory], [])
    ast.fix_missing_locations(module)
    compiled = compile(module, code.co_filename, "exec", dont_inherit=True, flags=code.co_flags & _FUTURE)
    factory_code = next(c for c in compiled.co_consts if isinstance(c, types.CodeType))
    return next(c for c in factory_code.co_consts if isinstance(c, types.CodeType) and c.co_name == code.co_name)


_FUTURE = 0x1000000  # from __future__ import annotations


def _definition(module, fun):
    """The syntax tree of the function alone, without decorators and defaults, which have been evaluated."""
    if fun.__name__ == "<lambda>":
        found = [n for n in ast.walk(module) if isinstance(n, ast.Lambda)]
    else:
        found = [n for n in module.body if isinstance(n, ast.FunctionDef) and n.name == fun.__name__]
    if len(found) != 1:
        raise ValueError("its source is not alone on its lines")
    (node,) = found
    node.args.defaults = [ast.Constant(None) for _ in node.args.defaults]
    node.args.kw_defaults = [d and ast.Constant(None) for d in node.args.kw_defaults]
    if isinstance(node, ast.FunctionDef):
        node.decorator_list = []
    return node


# ------------------------------------------------------------------------------------------------ names and jumps
def own_nodes(nodes):
    """The nodes below some, without what is inside functions and classes defined there."""
    pending = list(nodes)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, (*_SCOPES, ast.ClassDef)):
            pending.extend(ast.iter_child_nodes(node))


def assigned(nodes):
    """The names that statements assign to, in order of appearance."""
    hidden = {
        id(target)
        for node in own_nodes(nodes)
        if isinstance(node, _COMPREHENSIONS)
        for generator in node.generators
        for target in ast.walk(generator.target)
    }
    names = [
        n.id if isinstance(n, ast.Name) else n.name
        for n in own_nodes(nodes)
        if (isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store) and id(n) not in hidden)
        or isinstance(n, ast.FunctionDef)
    ]
    return sorted(set(names))


def is_convertible(nodes):
    """Whether statements may become the body of a nested function that is recorded once for many runs."""
    for node in own_nodes(nodes):
        if isinstance(node, _OUTSIDE_CONTROL):
            return False
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            return False
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
            if not _is_ufunc_method(node.func):
                return False
    return True


def _is_ufunc_method(func):
    """Whether a method call may be one of a module, such as ``np.add(...)``."""
    return isinstance(func.value, ast.Name) and func.attr == "add"


def _jumps(nodes):
    """The breaks and continues that belong to the loop whose body the statements are."""
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.Break, ast.Continue)):
            yield node
        elif not isinstance(node, (ast.For, ast.While, *_SCOPES, ast.ClassDef)):
            pending.extend(ast.iter_child_nodes(node))


class _TooTangled(Exception):
    """A break or continue stands where it cannot be written as branches."""


def without_jumps(body, flag):
    """Statements of a loop's body with branches in place of `continue`, and of `break`, which sets a flag."""
    for k, statement in enumerate(body):
        if isinstance(statement, ast.Continue):
            return body[:k]
        if isinstance(statement, ast.Break):
            return [*body[:k], ast.copy_location(_assign(flag, True), statement)]
        if not any(_jumps([statement])):
            continue
        if not isinstance(statement, ast.If):
            raise _TooTangled
        rest, yes, no = body[k + 1 :], statement.body, statement.orelse
        if not isinstance(yes[-1], (ast.Break, ast.Continue)) or any(_jumps(yes[:-1])):
            raise _TooTangled
        branch = ast.If(statement.test, without_jumps(yes, flag) or [ast.Pass()], without_jumps([*no, *rest], flag))
        return [*body[:k], ast.copy_location(branch, statement)]
    return body


def _assign(name, value):
    return ast.Assign([ast.Name(name, ast.Store())], ast.Constant(value))


# ------------------------------------------------------------------------------------------------ the conversion
def _helper(name, *args):
    return ast.Call(ast.Attribute(ast.Name(HELPER, ast.Load()), name, ast.Load()), list(args), [])


def _thunk(expression):
    arguments = ast.arguments([], [], None, [], [], None, [])
    return ast.Lambda(arguments, expression)


class _Converter(ast.NodeTransformer):
    """Converts one function, and those that are defined in it."""

    def __init__(self):
        self.count, self.depth, self.loads = 0, 0, {}

    def function(self, node):
        """Convert a function definition or a lambda."""
        outer = self.depth, self.loads
        self.depth, self.loads = 0, _loads([node])
        if isinstance(node, ast.Lambda):
            node.body = self.visit(node.body)
        else:
            node.body = self.block(node.body)
            bound = sorted({n for inner in ast.walk(node) for n in getattr(inner, "npx_names", ())})
            outside = {n for s in own_nodes(node.body) if isinstance(s, (ast.Global, ast.Nonlocal)) for n in s.names}
            parameters = {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}
            bound = [n for n in bound if n not in outside | parameters]
            if bound:  # so that they are variables of this function, which those inside share
                names = [ast.Name(n, ast.Store()) for n in bound]
                node.body.insert(0, ast.If(ast.Constant(False), [ast.Assign(names, ast.Constant(None))], []))
                ast.copy_location(node.body[0], node)
        self.depth, self.loads = outer
        return node

    def block(self, statements):
        """Convert statements one after another."""
        found = []
        for statement in statements:
            new = self.visit(statement)
            found.extend(new if isinstance(new, list) else [new])
        return found

    def visit_FunctionDef(self, node):
        return self.function(node)

    def visit_Lambda(self, node):
        node.body = self.visit(node.body)
        return node

    def visit_ClassDef(self, node):
        return node

    def visit_AsyncFunctionDef(self, node):
        return node

    def visit_Call(self, node):
        """A function that is called may have loops too."""
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Name) and node.func.id in _NEVER_CALLED_THROUGH):
            node.func = ast.copy_location(_helper("called", node.func), node.func)
        return node

    def nested(self, kind, body, names, parameter=None):
        """The definition of a nested function with these statements, and its name."""
        self.count += 1
        name = f"__npx_{kind}_{self.count}"
        arguments = ast.arguments([], [ast.arg(parameter)] if parameter else [], None, [], [], None, [])
        declared = [ast.Nonlocal(names)] if names else []
        definition = ast.FunctionDef(name, arguments, [*declared, *(body or [ast.Pass()])], [], None)
        definition.type_params = []
        definition.npx_names = names
        return definition, ast.Name(name, ast.Load())

    def names(self, names):
        return ast.Tuple([ast.Constant(n) for n in names], ast.Load())

    def temporary(self, node, names):
        """Those of the names that the function reads nowhere outside a statement."""
        inside = _loads([node])
        return self.names([n for n in names if self.loads.get(n, 0) <= inside.get(n, 0)])

    def loop(self, node, head, kind):
        """A loop as definitions and a call; `head` are statements that each step starts with."""
        self.count += 1
        flag, jumps = f"__npx_broke_{self.count}", list(_jumps(node.body))
        breaks = any(isinstance(j, ast.Break) for j in jumps)
        if not is_convertible([*head, *node.body]) or (breaks and node.orelse):
            return None
        try:
            body = without_jumps(node.body, flag)
        except _TooTangled:
            return None
        names = assigned([*head, *body])
        temporary = self.temporary(node, [n for n in names if n != flag])
        self.depth += 1
        body = self.block(body)
        self.depth -= 1
        definition, function = self.nested(kind, [*head, *body], names, "__npx_item" if kind == "for" else None)
        before = [_assign(flag, False)] if breaks else []
        common = [function, self.names(names), temporary, ast.Constant(flag if breaks else None)]
        return before, definition, common, self.block(node.orelse)

    def visit_For(self, node):
        """Loops over ranges; others are left to Python."""
        is_range = isinstance(node.iter, ast.Call) and isinstance(node.iter.func, ast.Name)
        if not is_range or node.iter.func.id != "range" or node.iter.keywords:
            return self.generic_visit(node)
        head = ast.Assign([node.target], ast.Name("__npx_item", ast.Load()))
        converted = self.loop(node, [ast.copy_location(head, node)], "for")
        if converted is None:
            return self.generic_visit(node)
        before, definition, common, otherwise = converted
        counted = _helper("range_of", *map(self.visit, node.iter.args))
        call = ast.Expr(_helper("for_", counted, *common))
        return [_at(s, node) for s in (*before, definition, call)] + otherwise

    def visit_While(self, node):
        converted = self.loop(node, [], "while")
        if converted is None:
            return self.generic_visit(node)
        before, definition, common, otherwise = converted
        self.depth += 1
        test = _thunk(self.condition(node.test))
        self.depth -= 1
        call = ast.Expr(_helper("while_", test, *common))
        return [_at(s, node) for s in (*before, definition, call)] + otherwise

    def visit_If(self, node):
        if not self.depth or not is_convertible([*node.body, *node.orelse]) or any(_jumps([node])):
            return self.generic_visit(node)
        names = assigned([*node.body, *node.orelse])
        temporary = self.temporary(node, names)
        yes, yes_name = self.nested("yes", self.block(node.body), names)
        no, no_name = self.nested("no", self.block(node.orelse), names)
        call = ast.Expr(_helper("if_", self.condition(node.test), yes_name, no_name, self.names(names), temporary))
        return [_at(s, node) for s in (yes, no, call)]

    def visit_IfExp(self, node):
        if not self.depth:
            return self.generic_visit(node)
        yes, no = _thunk(self.visit(node.body)), _thunk(self.visit(node.orelse))
        return ast.copy_location(_helper("if_", self.condition(node.test), yes, no), node)

    def condition(self, test):
        """An expression of which only the truth counts."""
        if isinstance(test, ast.BoolOp):
            parts = [_thunk(self.condition(value)) for value in test.values]
            return ast.copy_location(_helper("all_" if isinstance(test.op, ast.And) else "any_", *parts), test)
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return ast.copy_location(_helper("not_", self.condition(test.operand)), test)
        return self.visit(test)


def _at(statement, node):
    """A generated statement on the line of the one that it stands for; what came from the user keeps its own."""
    ast.copy_location(statement, node)
    statement.end_lineno, statement.end_col_offset = node.lineno, node.col_offset
    return statement


def _loads(nodes):
    """Name -> how often it is read, in nested functions too."""
    found = {}
    for node in nodes:
        for n in ast.walk(node):
            if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Store):
                found[n.id] = found.get(n.id, 0) + 1
            elif isinstance(n, (ast.Global, ast.Nonlocal)):
                found.update(dict.fromkeys(n.names, 1 << 20))
    return found
