"""Philox4x64-10 written with ops: the words that NumPy's `Philox` gives, computed wherever the operands lie.

The generator is a function of a counter: the n-th block of four words does not depend on those before it. So all blocks
of a draw are computed at once, on whatever device. The host keeps the state: `Position` says where the words of a draw
begin, and puts NumPy's generator where it would be after them.

J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC11).
"""

import functools

import numpy

import npx.ops  # noqa: F401  declares the ops
from npx.dispatch.abstract import Aval, Hole, Slice, aval_of
from npx.dispatch.graph import evaluate
from npx.dispatch.payloads import ops, reshape
from npx.dispatch.registry import backend_for
from npx.transforms.trace import trace

U64, I64 = numpy.dtype(numpy.uint64), numpy.dtype(numpy.int64)
ROUNDS, BLOCK = 10, 4
FACTORS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
KEY_STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
MASK_32, MASK_64 = 2**32 - 1, 2**64 - 1

#: where the parts of `Position.words` begin: the counter of the first block, the keys of the rounds, ...
COUNTER, KEYS = 0, BLOCK
#: ... NumPy's last block, of which words are left (it may have been set by hand), the place of the first one, ...
BUFFER = KEYS + 2 * ROUNDS
FIRST = BUFFER + BLOCK
#: ... the half word that is left, and whether there is one
LEFT, HAS_LEFT = FIRST + 1, FIRST + 2


def u64(number):
    """A number of 64 bits for an op."""
    return numpy.uint64(number)


def low(x):
    """The lower 32 bits."""
    return ops.bitwise_and(x, u64(MASK_32))


def high(x):
    """The upper 32 bits."""
    return ops.right_shift(x, u64(32))


def halves(number):
    """Lower and upper half of a Python int of 64 bits."""
    return u64(number & MASK_32), u64(number >> 32)


def wide_product(x, halves):
    """Upper and lower word of `x` times a number given by its halves: no backend has products of 128 bits."""
    (x_low, x_high), (y_low, y_high) = (low(x), high(x)), halves
    crossed, straight = x_high * y_low, x_low * y_low
    middle = high(straight) + low(crossed) + x_low * y_high  # just fits
    lower = straight + ops.left_shift(low(crossed + x_low * y_high), u64(32))
    return x_high * y_high + high(crossed) + high(middle), lower


def _at(x, *index):
    """The element of `x` at constant places."""
    return ops.getitem(x, index=index)


def blocks(words, n):
    """The words of `n` blocks, in order.

    Parameters
    ----------
    words : payload
        `Position.words`.
    n : int

    Returns
    -------
    payload
        Of shape ``(4 * n,)`` and dtype uint64.
    """
    start = [_at(words, COUNTER + k) for k in range(BLOCK)]
    counter = [start[0] + numpy.arange(n, dtype=U64)]
    for k in range(1, BLOCK):
        carry = ops.astype(ops.less(counter[k - 1], start[k - 1]), dtype=U64)
        counter.append(start[k] + carry)
    a, b, c, d = counter
    for r in range(ROUNDS):
        key = [_at(words, KEYS + 2 * r + k) for k in range(2)]
        (high_a, low_a), (high_c, low_c) = wide_product(a, halves(FACTORS[0])), wide_product(c, halves(FACTORS[1]))
        a, b, c, d = high_c ^ b ^ key[0], low_c, high_a ^ d ^ key[1], low_a
    in_order = numpy.zeros((n, BLOCK), U64)
    for k, x in enumerate((a, b, c, d)):  # written one by one: XLA would compute a concatenation anew for each reader
        in_order = ops.setitem(in_order, x, index=(Slice(), k))
    buffer = ops.getitem(words, index=(Slice(BUFFER, BUFFER + BLOCK, 1),))
    first = ops.where(ops.not_equal(_at(words, FIRST), u64(0)), buffer, _at(in_order, 0, Slice()))
    return reshape(ops.setitem(in_order, first, index=(0, Slice())), (BLOCK * n,))


def _gather(x, places):
    return ops.getitem(x, places, index=(Hole(0),))


def _from(x, n, first):
    """`n` elements of `x`, from a place that is an operand."""
    return _gather(x, ops.astype(numpy.arange(n, dtype=U64) + first, dtype=I64))


def whole_words(drawn, words, n):
    """`n` words of 64 bits, as NumPy's generator would give them next, from enough `blocks` of words."""
    return _from(drawn, n, _at(words, FIRST))


def half_words(drawn, words, n):
    """`n` words of 32 bits (in uint64), likewise: the lower half first, and before all the half that is left."""
    m = n // 2 + 1
    pairs = reshape(whole_words(drawn, words, m), (m, 1))
    halves = reshape(ops.concatenate(low(pairs), high(pairs), axis=1), (2 * m,))
    left = reshape(_at(words, LEFT), (1,))
    return _from(ops.concatenate(left, halves, axis=0), n, u64(1) - _at(words, HAS_LEFT))


def part_words(drawn, words, n, bits):
    """`n` words of fewer bits: each half word gives several, the lowest first; a new draw starts with a new one."""
    parts = 32 // bits
    m = -(-n // parts)
    shifts = numpy.arange(0, 32, bits, dtype=U64)
    wholes = reshape(half_words(drawn, words, m), (m, 1))
    spread = ops.bitwise_and(ops.right_shift(wholes, shifts), u64(2**bits - 1))
    return _from(reshape(spread, (m * parts,)), n, u64(0))


def words_of(drawn, words, n, bits):
    """`n` words of a number of bits."""
    if bits == 64:
        return whole_words(drawn, words, n)
    return half_words(drawn, words, n) if bits == 32 else part_words(drawn, words, n, bits)


def blocks_for(n, bits):
    """A number of blocks with enough words for `n` of a number of bits: one of few, for each is compiled anew."""
    whole = n if bits == 64 else -(-n // (32 // bits)) // 2 + 1
    enough = whole // BLOCK + 2
    step = 1 << max(enough.bit_length() - 4, 0)
    return -(-enough // step) * step


# ------------------------------------------------------------------------------------------------- numbers from words
def doubles(drawn, words, n):
    """`n` numbers of float64 in [0, 1)."""
    return ops.astype(ops.right_shift(whole_words(drawn, words, n), u64(11)), dtype=numpy.dtype(float)) * 2.0**-53


def floats(drawn, words, n):
    """`n` numbers of float32 in [0, 1)."""
    upper = ops.right_shift(half_words(drawn, words, n), u64(8))
    return ops.astype(upper, dtype=numpy.dtype(numpy.float32)) * numpy.float32(2.0**-24)


def integers(drawn, words, limits, n, m, bits, dtype):
    """`n` whole numbers by Lemire's method, made from at most `m` words; and how many words that took.

    The product of a word and the number of choices has a candidate in its upper half. It is good unless the lower half
    is below a threshold.

    Parameters
    ----------
    drawn : payload
        The words of enough blocks.
    words : payload
        `Position.words`.
    limits : payload
        How many choices there are, the threshold, and the least number, as uint64.
    n, m, bits : int
    dtype : numpy.dtype

    Returns
    -------
    payload, payload
        The second is larger than `m` where `m` words are too few.
    """
    span, threshold = _at(limits, 0), _at(limits, 1)
    taken = words_of(drawn, words, m, bits)
    if bits == 64:
        candidates, rest = wide_product(taken, (low(span), high(span)))
    else:
        product = taken * span
        candidates, rest = ops.right_shift(product, u64(bits)), ops.bitwise_and(product, u64(2**bits - 1))
    good = ops.astype(ops.greater_equal(rest, threshold), dtype=I64)
    counts = ops.cumsum(good, axis=0, dtype=I64)
    places = ops.searchsorted(counts, numpy.arange(1, n + 1), side="left")
    last = _at(places, n - 1) + 1
    return _as_integers(_gather(candidates, ops.minimum(places, m - 1)), limits, dtype), last


def integers_of_all_bits(drawn, words, limits, n, bits, shift, dtype):
    """`n` whole numbers from the upper bits of a word each, without the `shift` lower ones."""
    return _as_integers(ops.right_shift(words_of(drawn, words, n, bits), u64(shift)), limits, dtype)


def _as_integers(values, limits, dtype):
    """Numbers from 0 as those of a dtype from the least one; the sum wraps round where that is negative."""
    return ops.astype(values + _at(limits, 2), dtype=dtype)


# ------------------------------------------------------------------------------------------------------- compilation
def run(function, operands, *static):
    """``function(*operands, *static)``, compiled by the backend of the operands."""
    avals = tuple(map(aval_of, operands))
    backend = backend_for(type(operands[0]))
    return _compiled(function, tuple((a.shape, a.dtype) for a in avals), static, backend)(list(operands))


@functools.lru_cache(256)
def _compiled(function, avals, static, backend):
    def flat(*operands):
        outs = function(*operands, *static)
        return outs if isinstance(outs, tuple) else (outs,)

    graph, _ = trace(flat, [Aval(*a) for a in avals], name=function.__name__, captures=False)
    return functools.partial(evaluate, graph) if backend.compile is None else backend.compile(graph)


# -------------------------------------------------------------------------------------------------------- the state
class Position:
    """Where a bit generator of class `numpy.random.Philox` stands.

    Parameters
    ----------
    hidden : npx.random.states.State
        Of the generator.

    Attributes
    ----------
    words : numpy.ndarray
        What `blocks` and the functions above need to know, as uint64.
    """

    def __init__(self, hidden):
        self.hidden = hidden
        self.state = state = hidden.state
        left = state["buffer_pos"] < BLOCK  # words of the last block are still to come
        counter, first = _number(state["state"]["counter"]), state["buffer_pos"] % BLOCK if left else 0
        keys = [(_step(state["state"]["key"], r)) for r in range(ROUNDS)]
        head = _digits(counter if left else counter + 1)
        has_left = int(state["has_uint32"])
        parts = [head, *keys, state["buffer"].tolist(), [first, state["uinteger"], has_left]]
        self.words = numpy.array([word for part in parts for word in part], U64)

    def advance(self, n, bits):
        """Put the generator where it is after `n` words of a number of bits have been drawn."""
        half = 0 if bits == 64 else -(-n // (32 // bits))
        fresh = max(half - int(self.state["has_uint32"]), 0)
        self._skip(n if bits == 64 else -(-fresh // 2))
        state = self.hidden.state
        if half:
            state["has_uint32"] = fresh % 2
        if fresh:
            state["uinteger"] = int(state["buffer"][state["buffer_pos"] - 1] >> u64(32))
        self.hidden.state = state

    def _skip(self, n):
        """Draw whole words."""
        state = self.hidden.state
        skipped = max(n - (BLOCK - state["buffer_pos"]), 0)
        whole_blocks = max(-(-skipped // BLOCK) - 1, 0)
        if whole_blocks:
            counter = _number(state["state"]["counter"]) + whole_blocks
            state["state"]["counter"] = numpy.array(_digits(counter), U64)
            state["buffer_pos"] = BLOCK
            self.hidden.state = state
            n = skipped - whole_blocks * BLOCK
        if n:
            twin = numpy.random.Philox(0)  # whoever draws holds the lock of the generator itself
            twin.state = self.hidden.state
            twin.random_raw(n, False)
            self.hidden.state = twin.state


def _number(digits):
    return sum(int(d) << 64 * k for k, d in enumerate(digits))


def _digits(number):
    return [number >> 64 * k & MASK_64 for k in range(BLOCK)]


def _step(key, r):
    return [(int(k) + r * step) & MASK_64 for k, step in zip(key, KEY_STEPS)]
