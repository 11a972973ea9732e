"""Structured arrays with traced fields: ``r["x"] = traced``.

Ops know no structured dtypes. An array of records that a traced value is written into holds a record of payloads, one
for each field: tracers, and host memory for the fields that are still constants, which are written to in place.
"""

import numpy

from npx.dispatch.abstract import Aval, Slice, aval_of
from npx.dispatch.interpreter import Interpreter, Tracer, top_tracer
from npx.dispatch.registry import op


class RecordTracer(Tracer):
    """Records, at least one of whose fields is a tracer.

    Attributes
    ----------
    fields : dict
        Name -> payload; its shape ends with the shape of the field's elements.
    """

    __slots__ = ("fields", "aval")

    def __init__(self, interpreter, fields, aval):
        self.interpreter, self.fields, self.aval = interpreter, fields, aval

    def lowered(self, lower):
        """The records one level below the highest of their tracers."""
        top = self.interpreter.top

        def below(p):
            return lower(p) if isinstance(p, Tracer) and p.interpreter is top else p

        return record({name: below(p) for name, p in self.fields.items()}, self.aval)

    def mapped(self, change):
        """Records of which each field is ``change(name, payload, axes of its elements)``."""
        sub = {name: self.aval.dtype[name].ndim for name in self.fields}
        fields = {name: change(name, p, sub[name]) for name, p in self.fields.items()}
        name, p = next(iter(fields.items()))
        shape = tuple(p.shape)
        return record(fields, Aval(shape[: len(shape) - sub[name]], self.aval.dtype))


class RecordInterpreter(Interpreter):
    """Stands above the interpreter whose tracers are the highest among the fields of records, and works for it."""

    def __init__(self, top):
        self.top, self.level, self.birth = top, top.level + 1, top.birth

    name = property(lambda self: self.top.name)
    alive = property(lambda self: self.top.alive)
    levels = property(lambda self: self.top.levels)
    lifted = property(lambda self: self.top.lifted)
    replaced = property(lambda self: self.top.replaced)
    captures = property(lambda self: self.top.captures)

    def process(self, op, args, params):
        """Copy; everything else is done with fields."""
        if op.name == "copy":
            return args[0].mapped(lambda name, p, sub: op(p))
        raise TypeError(f"{op.name} of records that {self.name} traces: take the fields, as in r['name']")

    def concretize(self, tracer, reason):
        """The value of all fields."""
        out = numpy.empty(tracer.aval.shape, tracer.aval.dtype)
        for name, p in tracer.fields.items():
            out[name] = p.interpreter.concretize(p, reason) if isinstance(p, Tracer) else p
        return out


def record(fields, aval):
    """Payloads of fields as one payload: host memory where all of them are."""
    top = top_tracer(fields.values())
    if top is not None:
        return RecordTracer(_interpreter_above(top.interpreter), fields, aval)
    out = numpy.empty(aval.shape, aval.dtype)
    for name, p in fields.items():
        out[name] = p
    return out


def _interpreter_above(top):
    """The interpreter of records whose highest tracers are those of `top`."""
    found = vars(top).get("of_records")
    if found is None:
        found = top.of_records = RecordInterpreter(top)
    return found


def fields_of(p):
    """The fields of records, in host memory as views."""
    return p.fields if type(p) is RecordTracer else {name: p[name] for name in p.dtype.names}


def read_view(p, name, params, arrays):
    """What a view of records reads: a field, or some of the records."""
    if name == "field":
        return fields_of(p)[params["field"]]
    if name != "getitem":
        raise TypeError(f"{name} of records that {p.interpreter.name} traces: take the fields first, as in r['name']")

    def part(_, field, sub):
        index = (*params["index"], *[Slice()] * sub)
        if type(field) is RecordTracer:
            return read_view(field, "getitem", {"index": index}, arrays)
        if type(field) is numpy.ndarray and not arrays:
            from npx.ops.index_specs import rebuild

            return field[(*rebuild(index), ...)]  # memory that may be written to
        return op("getitem")(field, *arrays, index=index)

    return p.mapped(part)


def scatter_view(p, new, name, params, arrays):
    """The records after `new` was written to a view of them."""
    aval, fields = aval_of(p), dict(fields_of(p))
    if name == "field":
        fields[params["field"]] = new
        return record(fields, aval)
    if name != "getitem":
        raise TypeError(f"{name} of records that a transform traces: take the fields first, as in r['name']")
    written = fields_of(new)
    for key, old in fields.items():
        index = (*params["index"], *[Slice()] * aval.dtype[key].ndim)
        if type(old) is RecordTracer or type(written[key]) is RecordTracer:
            fields[key] = scatter_view(old, written[key], "getitem", {"index": index}, arrays)
        else:
            fields[key] = op("setitem")(old, written[key], *arrays, index=index)
    return record(fields, aval)
