"""What draws change: the hidden state of a generator, and when it came to be."""

import inspect

import numpy

from npx.array import interop
from npx.array.calling import wrap_result
from npx.array.ndarray import ndarray
from npx.dispatch.interpreter import stack


def host(x):
    """An argument with NumPy arrays in place of npx arrays, in lists, tuples and dicts too."""
    if isinstance(x, ndarray) and not isinstance(x, numpy.ndarray):
        return interop.to_numpy(x)
    if type(x) is dict:
        return {key: host(value) for key, value in x.items()}
    return type(x)(map(host, x)) if type(x) in (list, tuple) else x


def wrapped(x):
    """A result with npx arrays in place of NumPy's, in dicts too."""
    return {key: wrapped(value) for key, value in x.items()} if type(x) is dict else wrap_result(x)


def public_methods(cls):
    """The public methods of a class of NumPy, by name."""
    found = {name: getattr(cls, name) for name in dir(cls) if not name.startswith("_")}
    return {name: member for name, member in found.items() if inspect.isroutine(member)}


def recorder():
    """The innermost interpreter that records host calls (`jit`), or None."""
    return next((i for i in reversed(stack()) if hasattr(i, "host_call")), None)


def leave_to_python(what, differs=False):
    """Note that compiled code could not repeat `what`: a function under `jit` that does it is left to Python.

    Raises
    ------
    TypeError
        `differs` says that it does something else each time, and under `vmap` it would be done once for all elements.
    """
    if differs and stack():
        from npx.transforms.draws import maps  # a program on the host may never need the transforms

        if maps():
            raise TypeError(f"{what} under vmap would have to do something else for each element; call it outside")
    recording = recorder()
    if recording is not None:
        recording.leave_to_python(f"it uses {what}")


def _now():
    levels = stack()
    return levels[-1].birth if levels else 0


class State:
    """The hidden state of a bit generator, or of a legacy generator, which holds back every second normal number.

    Parameters
    ----------
    owner : object
        The bit generator; for a legacy generator NumPy's generator.
    read, write : callable
        ``read()`` gives the state as NumPy has it, ``write(state)`` sets it.
    origin : tuple, optional
        ``(make, *arguments)``: ``make(*arguments)`` gives the state that the generator was made with.
    is_seeded : bool
        Whether it gives the same state each time.

    Attributes
    ----------
    born, seeded : int
        Birth of the latest interpreter that was active when the generator was made, and when its state was last set to
        one that is known.
    """

    def __init__(self, owner, read, write, origin=None, is_seeded=True):
        self.owner, self._read, self._write, self.origin = owner, read, write, origin
        self.born = _now() if origin else 0
        self.seeded = self.born if is_seeded else 0

    @property
    def state(self):
        """NumPy's state, with NumPy's arrays."""
        return self._read()

    @state.setter
    def state(self, value):
        self._write(value)

    def touch(self, is_seeded=True):
        """Note that the state has been set; to a fresh one, unless `is_seeded`."""
        self.seeded = _now() if is_seeded else 0

    def restart(self):
        """Set the state that the generator was made with; drawn anew, where it was made without a seed."""
        make, *arguments = self.origin
        self.state = make(*arguments)


def route(generator, method, now, args, kwargs):
    """Draw where a transform is active or the draw may belong to a device."""
    from . import routes  # imports the transforms, which a program on the host may never need

    return routes.draw(generator, method, now, args, kwargs)
