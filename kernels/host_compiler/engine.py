"""The machine's side of kernels: its vectors and math library, and the functions compiled in this process.

Kernels are cached by their `Nest`, so a graph of a shape seen before, or of a similar structure, compiles nothing.
"""

import functools
import platform
import time

import llvmlite.binding as llvm

from npx.dispatch.debug import STAGES, log
from npx.dispatch.locks import lock_for_all
from npx.kernels.host_compiler.llvm import KernelWriter

#: instruction sets of glibc's vector math library: letter in its symbols, bits of its vectors, CPU features needed
VECTOR_MATH = (("e", 512, ("avx512f", "avx512dq")), ("d", 256, ("avx2", "fma")), ("b", 128, ("sse4.1",)))

LIBRARIES = {"Linux": ("libm.so.6", "libmvec.so.1")}


class Target:
    """What kernels know about the machine.

    Attributes
    ----------
    lanes : int
        Elements in one step of a kernel, whatever their size.
    attributes : str
        LLVM attributes of every kernel.
    """

    def __init__(self, features):
        self.features = {name for name, on in features.items() if on}
        wide = "avx512f" in self.features
        self.lanes = 16 if wide else 8 if "avx2" in self.features else 4
        self.attributes = "nounwind"
        if wide:
            self.attributes += ' "prefer-vector-width"="512" "min-legal-vector-width"="512"'

    @functools.cache  # noqa: B019  one target lives as long as the process
    def vector_function(self, name, arity, lanes):
        """Symbol and width of the widest variant of `name` that fits `lanes`, or (None, 0)."""
        bits = 32 if name.endswith("f") and name != "erf" else 64
        for letter, width, needed in VECTOR_MATH:
            n = width // bits
            symbol = f"_ZGV{letter}N{n}{'v' * arity}_{name}"
            if n <= lanes and self.features.issuperset(needed) and llvm.address_of_symbol(symbol):
                return symbol, n
        return None, 0


class Engine:
    """LLVM, and the kernels compiled so far.

    Parameters
    ----------
    cpu : str
        LLVM's name of the processor.
    features : dict of str to bool
        What it has.
    """

    def __init__(self, cpu, features):
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        for library in LIBRARIES.get(platform.system(), ()):
            try:
                llvm.load_library_permanently(library)
            except RuntimeError:  # no glibc: scalar functions come from the process
                pass
        self.target = Target(features)
        flags = ",".join(f"{'+' if on else '-'}{name}" for name, on in sorted(features.items()))
        self.machine = llvm.Target.from_default_triple().create_target_machine(cpu=cpu, features=flags, opt=2)
        self.jit = llvm.create_mcjit_compiler(llvm.parse_assembly(""), self.machine)
        self.addresses = {}

    def kernels(self, nests):
        """Addresses of the kernels of `nests`; those not yet known are compiled, in one module.

        Parameters
        ----------
        nests : iterable of Nest

        Returns
        -------
        dict of Nest to int
        """
        nests = list(dict.fromkeys(nests))
        with _compiling:
            missing = [nest for nest in nests if nest not in self.addresses]
            if missing:
                self.compile(missing)
            return {nest: self.addresses[nest] for nest in nests}

    def compile(self, nests):
        started = time.perf_counter()
        first = len(self.addresses)
        names = {nest: f"kernel{first + k}" for k, nest in enumerate(nests)}
        text = module_text(names, self.target)
        if "llvm" in STAGES:
            log("llvm", text)
        module = llvm.parse_assembly(text)
        module.verify()
        self.jit.add_module(module)
        self.jit.finalize_object()
        for nest, name in names.items():
            self.addresses[nest] = self.jit.get_function_address(name)
        log("jit", f"compiled {len(nests)} kernels in {(time.perf_counter() - started) * 1e3:.1f} ms")


def module_text(names, target):
    """The LLVM module of some nests.

    Parameters
    ----------
    names : dict of Nest to str
    target : Target
    """
    functions, declarations = [], {}
    for nest, name in names.items():
        function, needed = KernelWriter(name, nest, target).text()
        functions.append(function)
        declarations.update(needed)
    attributes = f"attributes #0 = {{ {target.attributes} }}"
    return "\n".join([*declarations.values(), *functions, attributes, ""])


_compiling = lock_for_all()
_engine = None


def engine():
    """The process's engine, for the processor that it runs on. There is one: with an engine goes the code it made."""
    global _engine
    if _engine is None:
        with _compiling:
            if _engine is None:
                _engine = Engine(llvm.get_host_cpu_name(), dict(llvm.get_host_cpu_features()))
    return _engine
