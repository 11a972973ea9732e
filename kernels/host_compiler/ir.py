"""Text of LLVM IR for vectors of lanes: what a kernel does with one step's worth of elements."""

import struct

#: dtype code (``numpy.dtype.str`` without the byte order) -> LLVM type of one lane in a register
LANE = {
    "b1": "i1", "i1": "i8", "i2": "i16", "i4": "i32", "i8": "i64",
    "u1": "i8", "u2": "i16", "u4": "i32", "u8": "i64", "f4": "float", "f8": "double",
}  # fmt: skip

ZERO_EXTENDED = "bu"  # kinds whose bits widen with zeros


def size(code):
    """Bytes of one element in memory."""
    return int(code[1])


def memory_type(code):
    """LLVM type of one element in memory: a NumPy bool is a byte."""
    return "i8" if code == "b1" else LANE[code]


def literal(code, value):
    """A Python number as an LLVM literal."""
    if code == "b1":
        return "true" if value else "false"
    if code[0] == "f":
        value = struct.unpack("f", struct.pack("f", value))[0] if code == "f4" else float(value)
        return "0x" + struct.pack(">d", value).hex().upper()
    return str(int(value))


class Builder:
    """Collects the instructions of one function.

    Values are names of vector registers; a dtype code says what the lanes are. The methods append instructions and
    return the name of the result.
    """

    def __init__(self, target):
        self.target = target
        self.lanes = target.lanes
        self.lines = []
        self.declarations = {}
        self.literals = {}  # text of a constant vector -> its Python value
        self._count = 0

    # ------------------------------------------------------------------------------------------------- plain text

    def emit(self, text):
        """An instruction with a result."""
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text):
        """An instruction without a result."""
        self.lines.append(f"  {text}")

    def label(self, hint):
        """A new, not yet placed, block label."""
        self._count += 1
        return f"{hint}{self._count}"

    def place(self, label):
        self.lines.append(f"{label}:")

    def declare(self, symbol, signature):
        """Make `symbol` known to the module; `signature` is ``result (arguments)``."""
        result, arguments = signature.split(" (", 1)
        self.declarations[symbol] = f"declare {result} @{symbol}({arguments}"

    def call(self, symbol, result, *arguments):
        """Call a function; arguments are (type, value) pairs."""
        self.declare(symbol, f"{result} ({', '.join(t for t, _ in arguments)})")
        text = f"call {result} @{symbol}({', '.join(f'{t} {v}' for t, v in arguments)})"
        return self.do(text) if result == "void" else self.emit(text)

    # --------------------------------------------------------------------------------------------------- vectors

    def vec(self, code, lanes=None):
        return f"<{lanes or self.lanes} x {LANE[code]}>"

    def suffix(self, code, memory=False):
        """How intrinsics name the vector type: ``v8f64``."""
        bits = 8 * size(code) if memory or code != "b1" else 1
        return f"v{self.lanes}{'f' if code[0] == 'f' else 'i'}{bits}"

    def constant(self, code, value):
        """A vector of equal lanes."""
        text = literal(code, value)
        vector = f"<{', '.join([f'{LANE[code]} {text}'] * self.lanes)}>"
        self.literals[vector] = value
        return vector

    def splat(self, code, scalar):
        """All lanes from a scalar register."""
        first = self.emit(f"insertelement {self.vec(code)} poison, {LANE[code]} {scalar}, i32 0")
        return self.emit(
            f"shufflevector {self.vec(code)} {first}, {self.vec(code)} poison, <{self.lanes} x i32> zeroinitializer"
        )

    def binary(self, opcode, code, x, y):
        return self.emit(f"{opcode} {self.vec(code)} {x}, {y}")

    def arith(self, stem, code, x, y):
        """``add``, ``sub``, ``mul``: the float or the integer instruction."""
        return self.binary(("f" if code[0] == "f" else "") + stem, code, x, y)

    def intrinsic(self, name, code, *xs, flags=""):
        symbol = f"llvm.{name}.{self.suffix(code)}"
        vector = self.vec(code)
        self.declare(symbol, f"{vector} ({', '.join([vector] * len(xs))})")
        return self.emit(f"call {flags} {vector} @{symbol}({', '.join(f'{vector} {x}' for x in xs)})")

    def compare(self, predicate, code, x, y):
        """A mask. `predicate` is ``eq ne lt le gt ge``, false for NaN except ``ne``; ``uno`` asks for a NaN."""
        if code[0] == "f":
            spelled = {"ne": "une", "uno": "uno"}.get(predicate, "o" + predicate)
            return self.emit(f"fcmp {spelled} {self.vec(code)} {x}, {y}")
        sign = "" if predicate in ("eq", "ne") else "u" if code[0] in ZERO_EXTENDED else "s"
        return self.emit(f"icmp {sign}{predicate} {self.vec(code)} {x}, {y}")

    def select(self, mask, code, x, y):
        return self.emit(f"select {self.vec('b1')} {mask}, {self.vec(code)} {x}, {self.vec(code)} {y}")

    def invert(self, mask):
        return self.binary("xor", "b1", mask, self.constant("b1", True))

    def truth(self, code, x):
        """Which lanes are true in Python's sense (NaN is)."""
        return x if code == "b1" else self.compare("ne", code, x, self.constant(code, 0))

    # ----------------------------------------------------------------------------------------------------- casts

    def cast(self, x, source, target):
        """Convert as NumPy's ``astype`` does."""
        if source == target:
            return x
        if target == "b1":
            return self.truth(source, x)
        if source[0] == "f":
            return self._cast_float(x, source, target)
        if target[0] == "f":
            return self._convert("uitofp" if source[0] in ZERO_EXTENDED else "sitofp", x, source, target)
        if source != "b1" and size(source) >= size(target):
            return x if size(source) == size(target) else self._convert("trunc", x, source, target)
        return self._convert("zext" if source[0] in ZERO_EXTENDED else "sext", x, source, target)

    def _convert(self, opcode, x, source, target):
        return self.emit(f"{opcode} {self.vec(source)} {x} to {self.vec(target)}")

    def _cast_float(self, x, source, target):
        """Out of range, integers come out as C compilers make them on x86: through the next wider signed type."""
        if target[0] == "f":
            return self._convert("fpext" if target == "f8" else "fptrunc", x, source, target)
        if target == "u8":
            limit = self.constant(source, 2.0**63)
            low = self._convert("fptosi", x, source, "i8")
            high = self._convert("fptosi", self.binary("fsub", source, x, limit), source, "i8")
            high = self.binary("xor", "i8", high, self.constant("i8", -(2**63)))
            return self.select(self.compare("ge", source, x, limit), "i8", high, low)
        wide = "i8" if target in ("u4", "i8") else "i4"
        return self.cast(self._convert("fptosi", x, source, wide), wide, target)

    # ---------------------------------------------------------------------------------------------------- memory

    def load(self, code, pointer, mask=None):
        """Consecutive elements; lanes that `mask` leaves out are one, which no function finds hard."""
        memory = f"<{self.lanes} x {memory_type(code)}>"
        if mask is None:
            x = self.emit(f"load {memory}, ptr {pointer}, align {size(code)}")
        else:
            x = self.call(
                f"llvm.masked.load.{self.suffix(code, memory=True)}.p0",
                memory,
                ("ptr", pointer),
                ("i32", size(code)),
                (self.vec("b1"), mask),
                (memory, self._ones(code)),
            )
        return self._to_register(code, x)

    def gather(self, code, pointers, mask=None):
        """Elements at a vector of pointers."""
        memory = f"<{self.lanes} x {memory_type(code)}>"
        x = self.call(
            f"llvm.masked.gather.{self.suffix(code, memory=True)}.v{self.lanes}p0",
            memory,
            (f"<{self.lanes} x ptr>", pointers),
            ("i32", size(code)),
            (self.vec("b1"), mask or self.constant("b1", True)),
            (memory, self._ones(code)),
        )
        return self._to_register(code, x)

    def store(self, code, x, pointer, mask=None):
        memory, x = f"<{self.lanes} x {memory_type(code)}>", self._to_memory(code, x)
        if mask is None:
            self.do(f"store {memory} {x}, ptr {pointer}, align {size(code)}")
            return
        self.call(
            f"llvm.masked.store.{self.suffix(code, memory=True)}.p0",
            "void",
            (memory, x),
            ("ptr", pointer),
            ("i32", size(code)),
            (self.vec("b1"), mask),
        )

    def scatter(self, code, x, pointers, mask=None):
        """Store at a vector of pointers."""
        self.call(
            f"llvm.masked.scatter.{self.suffix(code, memory=True)}.v{self.lanes}p0",
            "void",
            (f"<{self.lanes} x {memory_type(code)}>", self._to_memory(code, x)),
            (f"<{self.lanes} x ptr>", pointers),
            ("i32", size(code)),
            (self.vec("b1"), mask or self.constant("b1", True)),
        )

    def load_scalar(self, code, pointer):
        """One element, in all lanes."""
        x = self.emit(f"load {memory_type(code)}, ptr {pointer}, align {size(code)}")
        if code == "b1":
            x = self.emit(f"icmp ne i8 {x}, 0")
        return self.splat(code, x)

    def _ones(self, code):
        return self.constant("u1" if code == "b1" else code, 1)

    def _to_register(self, code, x):
        return self.compare("ne", "u1", x, self.constant("u1", 0)) if code == "b1" else x

    def _to_memory(self, code, x):
        return self._convert("zext", x, "b1", "u1") if code == "b1" else x

    # ----------------------------------------------------------------------------------------------------- libm

    def libm(self, function, code, *xs):
        """A function of C's math library on all lanes: by the vector variant that this machine has, or lane by lane."""
        name = function + "f" * (code == "f4")
        symbol, lanes = self.target.vector_function(name, len(xs), self.lanes)
        if symbol is None:
            return self._lane_by_lane(name, code, xs)
        part = self.vec(code, lanes)
        parts = []
        for start in range(0, self.lanes, lanes):
            slices = [(part, self._slice(code, x, start, lanes)) for x in xs]
            parts.append(self.call(symbol, part, *slices))
        while len(parts) > 1:
            lanes *= 2
            parts = [self._join(code, *pair, lanes) for pair in zip(parts[::2], parts[1::2])]
        return parts[0]

    def _slice(self, code, x, start, lanes):
        if lanes == self.lanes:
            return x
        picks = ", ".join(f"i32 {k}" for k in range(start, start + lanes))
        return self.emit(f"shufflevector {self.vec(code)} {x}, {self.vec(code)} poison, <{lanes} x i32> <{picks}>")

    def _join(self, code, low, high, lanes):
        half = self.vec(code, lanes // 2)
        picks = ", ".join(f"i32 {k}" for k in range(lanes))
        return self.emit(f"shufflevector {half} {low}, {half} {high}, <{lanes} x i32> <{picks}>")

    def _lane_by_lane(self, name, code, xs):
        """Through a helper function that loops over the lanes."""
        helper, vector, lane = f"each_{name}", self.vec(code), LANE[code]
        self.declarations[name] = f"declare {lane} @{name}({', '.join([lane] * len(xs))})"
        self.declarations[helper] = _LANE_LOOP.format(
            helper=helper,
            vector=vector,
            lane=lane,
            name=name,
            lanes=self.lanes,
            parameters=", ".join(f"{vector} %x{k}" for k in range(len(xs))),
            picks="\n".join(f"  %e{k} = extractelement {vector} %x{k}, i32 %i" for k in range(len(xs))),
            arguments=", ".join(f"{lane} %e{k}" for k in range(len(xs))),
        )
        return self.emit(f"call {vector} @{helper}({', '.join(f'{vector} {x}' for x in xs)})")


_LANE_LOOP = """\
define internal {vector} @{helper}({parameters}) {{
entry:
  br label %loop
loop:
  %i = phi i32 [0, %entry], [%next, %loop]
  %sofar = phi {vector} [poison, %entry], [%result, %loop]
{picks}
  %y = call {lane} @{name}({arguments})
  %result = insertelement {vector} %sofar, {lane} %y, i32 %i
  %next = add i32 %i, 1
  %more = icmp ult i32 %next, {lanes}
  br i1 %more, label %loop, label %done
done:
  ret {vector} %result
}}"""
