"""A loop nest as a function in LLVM IR.

``void kernel(ptr arrays, ptr numbers, i64 low, i64 high)``: `arrays` holds the operands' addresses, `numbers` is
`Numbers.block`, and the loop `Nest.split` runs from `low` to `high`. All loads of a step come before its stores, so an
array that is stored may be one that is loaded with the same strides.
"""

from npx.kernels.host_compiler.ir import LANE, Builder, literal, memory_type, size
from npx.kernels.host_compiler.scalars import REDUCTIONS, RULES

#: elements that are summed plainly before they join a compensated sum
SUM_BLOCK = 512


class Accumulator:
    """A reduction in registers: a vector of partial results, and for floats the sum of what blocks have lost."""

    def __init__(self, b, name, code):
        self.b, self.name, self.code = b, name, code
        self.is_blocked = name == "sum" and code[0] == "f"
        self.total_code = "f8" if self.is_blocked else code  # float32 is summed by blocks in float64
        self.compensates = self.is_blocked and code == "f8"
        self.identity = b.constant(code, REDUCTIONS[name].identity(code))

    def start(self):
        """The state that is carried through all reduced loops."""
        if not self.is_blocked:
            return [(self.b.vec(self.code), self.identity)]
        zero = self.b.constant("f8", -0.0)
        return [(self.b.vec("f8"), zero)] * (2 if self.compensates else 1)

    def start_block(self):
        return [(self.b.vec(self.code), self.identity)]

    def combine(self, partial, x, mask):
        b, code = self.b, self.code
        if mask is not None:
            x = b.select(mask, code, x, self.identity)
        return RULES[REDUCTIONS[self.name].combine].emit(b, code, partial, x)

    def add_block(self, state, block):
        """Add a block's sum to the total, with Neumaier's compensation."""
        b = self.b
        x = b.cast(block, self.code, "f8")
        total = state[0]
        new = b.binary("fadd", "f8", total, x)
        if not self.compensates:
            return [new]
        back = b.binary("fsub", "f8", new, total)
        lost = b.binary("fsub", "f8", total, b.binary("fsub", "f8", new, back))
        lost = b.binary("fadd", "f8", lost, b.binary("fsub", "f8", x, back))
        return [new, b.binary("fadd", "f8", state[1], lost)]

    def finish(self, state):
        """The scalar result in the reduction's code."""
        b = self.b
        total = self.over_lanes(state[0], self.total_code)
        if self.compensates:
            lost = self.over_lanes(state[1], "f8")
            matters = b.emit(f"fcmp one double {lost}, 0.0")  # false for NaN: the total is infinite or NaN then
            sum_ = b.emit(f"fadd double {total}, {lost}")
            total = b.emit(f"select i1 {matters}, double {sum_}, double {total}")
        if self.total_code != self.code:
            total = b.emit(f"fptrunc double {total} to float")
        return total

    def over_lanes(self, x, code):
        b, lane, vector = self.b, LANE[code], self.b.vec(code)
        name = REDUCTIONS[self.name].horizontal(code)
        symbol = f"llvm.vector.reduce.{name}.{b.suffix(code)}"
        if name in ("fadd", "fmul"):
            first = literal(code, REDUCTIONS[self.name].identity(code))
            b.declare(symbol, f"{lane} ({lane}, {vector})")
            return b.emit(f"call reassoc {lane} @{symbol}({lane} {first}, {vector} {x})")
        b.declare(symbol, f"{lane} ({vector})")
        return b.emit(f"call {'nsz ' * (code[0] == 'f')}{lane} @{symbol}({vector} {x})")


class KernelWriter:
    """Writes the function of one nest."""

    def __init__(self, name, nest, target):
        self.name, self.nest, self.b = name, nest, Builder(target)
        self.block = "entry"
        self.last = len(nest.kinds) - 1
        self.reductions = [k for k, o in enumerate(nest.operands) if o.role in REDUCTIONS]
        self.stores = [k for k, o in enumerate(nest.operands) if o.role == "store"]
        self.value_of = dict(nest.results)

    def text(self):
        """The function, and the declarations that it needs."""
        b = self.b
        self.read_arguments()
        pointers = list(self.arrays)
        self.level(0, pointers, [])
        b.do("ret void")
        head = f"define void @{self.name}(ptr %arrays, ptr %numbers, i64 %low, i64 %high) #0 {{\nentry:"
        return "\n".join([head, *b.lines, "}"]), b.declarations

    # ---------------------------------------------------------------------------------------------------- entry

    def read_arguments(self):
        b, nest, rank = self.b, self.nest, len(self.nest.kinds)
        self.arrays = [self.load_at("ptr", "%arrays", k) for k in range(len(nest.operands))]
        self.dims = [self.load_at("i64", "%numbers", k) for k in range(rank)]
        self.strides = [
            None if o.access == "scalar" else [self.load_at("i64", "%numbers", rank * (k + 1) + d) for d in range(rank)]
            for k, o in enumerate(nest.operands)
        ]
        first = rank * (1 + len(nest.operands))
        self.parameters = [self.parameter(code, first + k) for k, code in enumerate(nest.parameters)]
        self.fixed = {
            k: b.load_scalar(o.code, self.arrays[k]) for k, o in enumerate(nest.operands) if o.access == "scalar"
        }
        self.lane_offsets = {
            k: b.binary("mul", "i8", self.lane_numbers("i8"), b.splat("i8", self.strides[k][-1]))
            for k, o in enumerate(nest.operands)
            if o.access == "strided"
        }

    def load_at(self, kind, base, index):
        return self.b.emit(f"load {kind}, ptr {self.element(base, 'i64', index)}, align 8")

    def element(self, base, kind, index):
        return self.b.emit(f"getelementptr {kind}, ptr {base}, i64 {index}")

    def parameter(self, code, index):
        kind = memory_type(code)
        pointer = self.element("%numbers", "i64", index)
        x = self.b.emit(f"load {kind}, ptr {pointer}, align {size(code)}")
        if code == "b1":
            x = self.b.emit(f"icmp ne i8 {x}, 0")
        return self.b.splat(code, x)

    def lane_numbers(self, code):
        return f"<{', '.join(f'{LANE[code]} {k}' for k in range(self.b.lanes))}>"

    # ---------------------------------------------------------------------------------------------- control flow

    def place(self, label):
        self.b.place(label)
        self.block = label

    def loop(self, start, stop, step, state, body):
        """``for (i = start; i < stop; i += step)``; `body` takes i and the state, a list of (type, value), and returns
        the new one. Returns the last state."""
        b = self.b
        head, inside, done = b.label("head"), b.label("body"), b.label("done")
        before = self.block
        b.do(f"br label %{head}")
        self.place(head)
        first_phi = len(b.lines)
        i, *carried = (b.emit("phi") for _ in range(1 + len(state)))
        more = b.emit(f"icmp slt i64 {i}, {stop}")
        b.do(f"br i1 {more}, label %{inside}, label %{done}")
        self.place(inside)
        types = [t for t, _ in state]
        new = body(i, list(zip(types, carried)))
        following = b.emit(f"add nsw i64 {i}, {step}")
        b.do(f"br label %{head}")
        arrivals = [("i64", i, start, following)]
        arrivals += [(t, c, v, n) for t, c, (_, v), (_, n) in zip(types, carried, state, new)]
        for line, (t, phi, v, n) in enumerate(arrivals, first_phi):
            b.lines[line] = f"  {phi} = phi {t} [{v}, %{before}], [{n}, %{self.block}]"
        self.place(done)
        return list(zip(types, carried))

    def when(self, condition, state, body):
        """Run `body` on the state where `condition` holds."""
        b = self.b
        inside, done, before = b.label("tail"), b.label("join"), self.block
        b.do(f"br i1 {condition}, label %{inside}, label %{done}")
        self.place(inside)
        new = body(state)
        after = self.block
        b.do(f"br label %{done}")
        self.place(done)
        return [
            (t, b.emit(f"phi {t} [{v}, %{before}], [{n}, %{after}]")) for (t, v), (_, n) in zip(state, new, strict=True)
        ]

    def bounds(self, level):
        return ("%low", "%high") if level == self.nest.split else ("0", self.dims[level])

    # ------------------------------------------------------------------------------------------------------ loops

    def level(self, level, pointers, state):
        """The loops from `level` inwards; returns the state of the reductions in registers."""
        kinds = self.nest.kinds
        if kinds[level] == "r" and "r" not in kinds[:level]:
            return self.reduction(level, pointers)
        if level == self.last:
            return self.innermost(pointers, state)
        return self.loop(
            *self.bounds(level), 1, state, lambda i, s: self.level(level + 1, self.move(level, i, pointers), s)
        )

    def move(self, level, i, pointers):
        """The operands' pointers at step `i` of a loop."""
        moved = []
        for pointer, strides in zip(pointers, self.strides):
            if strides is not None:
                step = self.b.emit(f"mul i64 {i}, {strides[level]}")
                pointer = self.element(pointer, "i8", step)
            moved.append(pointer)
        return moved

    def reduction(self, level, pointers):
        """The reduced loops and what is inside them."""
        if not self.nest.reduces_inside:
            self.fill_identities(pointers)
            return self.reduced_level(level, pointers, [])
        self.accumulators = [Accumulator(self.b, self.operand(k).role, self.operand(k).code) for k in self.reductions]
        state = self.reduced_level(level, pointers, [pair for a in self.accumulators for pair in a.start()])
        for k, accumulator, part in zip(self.reductions, self.accumulators, self.parts(state)):
            self.store_scalar(accumulator.code, accumulator.finish([v for _, v in part]), pointers[k])
        return []

    def reduced_level(self, level, pointers, state):
        if level == self.last:
            return self.innermost(pointers, state)
        return self.loop(
            *self.bounds(level), 1, state, lambda i, s: self.reduced_level(level + 1, self.move(level, i, pointers), s)
        )

    def operand(self, k):
        return self.nest.operands[k]

    def parts(self, state):
        """The state cut into the accumulators' shares."""
        state = iter(state)
        return [[next(state) for _ in a.start()] for a in self.accumulators]

    def store_scalar(self, code, x, pointer):
        if code == "b1":
            x = self.b.emit(f"zext i1 {x} to i8")
        self.b.do(f"store {memory_type(code)} {x}, ptr {pointer}, align {size(code)}")

    def fill_identities(self, pointers):
        """Reductions in memory start from their identities."""

        def fill(i, state, mask):
            for k in self.reductions:
                operand = self.operand(k)
                identity = self.b.constant(operand.code, REDUCTIONS[operand.role].identity(operand.code))
                self.write(k, operand, identity, i, pointers[k], mask)
            return state

        self.vectors(*self.bounds(self.last), [], fill)

    # -------------------------------------------------------------------------------------------- innermost loop

    def innermost(self, pointers, state):
        held = {k: self.b.load_scalar(o.code, pointers[k]) for k, o in enumerate(self.nest.operands) if self.is_held(o)}
        start, stop = self.bounds(self.last)
        if not self.nest.reduces_inside:
            return self.vectors(start, stop, state, lambda i, s, mask: self.step(i, pointers, held, s, mask))
        if not any(a.is_blocked for a in self.accumulators):
            return self.vectors(start, stop, state, lambda i, s, mask: self.step(i, pointers, held, s, mask))
        return self.loop(start, stop, SUM_BLOCK, state, lambda i, s: self.sum_block(i, stop, pointers, held, s))

    def is_held(self, operand):
        return operand.role == "load" and operand.access == "hold"

    def sum_block(self, start, stop, pointers, held, state):
        """A block of elements: float sums start anew, and join the totals at the end."""
        b = self.b
        end = b.emit(f"add nsw i64 {start}, {SUM_BLOCK}")
        beyond = b.emit(f"icmp sgt i64 {end}, {stop}")
        end = b.emit(f"select i1 {beyond}, i64 {stop}, i64 {end}")
        parts = self.parts(state)
        inner = [a.start_block()[0] if a.is_blocked else part[0] for a, part in zip(self.accumulators, parts)]
        inner = self.vectors(start, end, inner, lambda i, s, mask: self.step(i, pointers, held, s, mask))
        new = []
        for a, part, (kind, block) in zip(self.accumulators, parts, inner):
            joined = a.add_block([v for _, v in part], block) if a.is_blocked else [block]
            new += [(t, v) for (t, _), v in zip(part or [(kind, block)], joined)]
        return new

    def vectors(self, start, stop, state, step):
        """Full vectors from `start`, then one with a mask for the rest before `stop`."""
        b, lanes = self.b, self.b.lanes
        count = b.emit(f"sub i64 {stop}, {start}")
        full = b.emit(f"and i64 {count}, {-lanes}")
        end = b.emit(f"add i64 {start}, {full}")
        state = self.loop(start, end, lanes, state, lambda i, s: step(i, s, None))
        rest = b.emit(f"sub i64 {stop}, {end}")

        def tail(state):
            narrow = b.emit(f"trunc i64 {rest} to i32")
            mask = b.compare("gt", "u4", b.splat("i4", narrow), self.lane_numbers("i4"))
            return step(end, state, mask)

        return self.when(b.emit(f"icmp sgt i64 {rest}, 0"), state, tail)

    def step(self, i, pointers, held, state, mask):
        """One vector of elements: loads, body, stores."""
        nest = self.nest
        values = {}
        for k, operand in enumerate(nest.operands):
            if operand.role == "load":
                values["operand", k] = self.fixed.get(k) or held.get(k) or self.read(k, operand, i, pointers[k], mask)
        for k, instruction in enumerate(nest.body):
            values["result", k] = self.instruction(instruction, values)
        for k in self.stores:
            code = self.operand(k).code
            self.write(k, self.operand(k), self.fetch(self.value_of[k], code, values), i, pointers[k], mask)
        if not nest.reduces_inside:
            for k in self.reductions:
                self.reduce_in_memory(k, i, pointers[k], values, mask)
            return state
        new = []
        for k, accumulator, (kind, partial) in zip(self.reductions, self.accumulators, state):
            x = self.fetch(self.value_of[k], accumulator.code, values)
            new.append((kind, accumulator.combine(partial, x, mask)))
        return new

    def fetch(self, arg, code, values):
        """The vector that `arg` means, converted to `code`."""
        if arg.source == "literal":
            return self.b.constant(code, arg.key)
        x = self.parameters[arg.key] if arg.source == "parameter" else values[arg.source, arg.key]
        return self.b.cast(x, arg.code, code)

    def instruction(self, instruction, values):
        b, (op, code, args) = self.b, instruction
        if op == "astype":
            return self.fetch(args[0], code, values)
        if op == "where":
            condition = self.fetch(args[0], "b1", values)
            return b.select(condition, code, *(self.fetch(a, code, values) for a in args[1:]))
        return RULES[op].emit(b, code, *(self.fetch(a, code, values) for a in args))

    def address(self, k, operand, i, pointer):
        """Where step `i` starts: a pointer, or for strided operands a vector of them."""
        if operand.access == "unit":
            return self.element(pointer, memory_type(operand.code), i)
        start = self.element(pointer, "i8", self.b.emit(f"mul i64 {i}, {self.strides[k][-1]}"))
        return self.b.emit(f"getelementptr i8, ptr {start}, {self.b.vec('i8')} {self.lane_offsets[k]}")

    def read(self, k, operand, i, pointer, mask):
        load = self.b.load if operand.access == "unit" else self.b.gather
        return load(operand.code, self.address(k, operand, i, pointer), mask)

    def write(self, k, operand, x, i, pointer, mask):
        store = self.b.store if operand.access == "unit" else self.b.scatter
        store(operand.code, x, self.address(k, operand, i, pointer), mask)

    def reduce_in_memory(self, k, i, pointer, values, mask):
        operand = self.operand(k)
        x = self.fetch(self.value_of[k], operand.code, values)
        partial = self.read(k, operand, i, pointer, mask)
        x = RULES[REDUCTIONS[operand.role].combine].emit(self.b, operand.code, partial, x)
        self.write(k, operand, x, i, pointer, mask)
