"""What pyproject.toml cannot say: the layout of the packages, and the Cython modules found in them."""

import os
import shutil
import sys
from pathlib import Path

import numpy
from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOTS = {"npx": "npx", "npx.dispatch": "dispatch", "npx.kernels": "kernels"}
JOBS = 2

folders = {
    ".".join(filter(None, (root, package))): Path(folder, *package.split("."))
    for root, folder in ROOTS.items()
    for package in ("", *find_packages(folder))
}


class BuildExt(build_ext):
    """Translates the `.pyx` files first; generated files go to `build/`, which an editable install reuses."""

    def finalize_options(self):
        if self.editable_mode:  # setuptools would take a temporary folder and compile everything each time
            self.build_lib = self.build_temp = os.path.join("build", f"editable-{sys.implementation.cache_tag}")
        modules = self.distribution.ext_modules
        if any(module.sources[0].endswith(".pyx") for module in modules):
            modules[:] = translate(modules, self.force)
        super().finalize_options()


def translate(modules, force):
    from Cython.Build import cythonize

    return cythonize(
        modules,
        include_path=[stage_declarations("build/include")],
        build_dir="build/cython",
        nthreads=JOBS,
        force=force or None,
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "cdivision": True,
        },
    )


def stage_declarations(target):
    """Lay out copies of the `.pxd` files by package name, as `cimport` looks for them; return the folder."""
    shutil.rmtree(target, ignore_errors=True)
    for package, folder in folders.items():
        staged = Path(target, *package.split("."))
        staged.mkdir(parents=True)
        (staged / "__init__.pxd").touch()
        for declarations in folder.glob("*.pxd"):
            shutil.copy2(declarations, staged)  # keeps the time stamp: only users of a changed file are rebuilt
    return target


setup(
    packages=list(folders),
    package_dir=ROOTS,
    package_data={"": ["*.pxd", "*.pyx", "*.h"]},
    ext_modules=[
        Extension(
            f"{package}.{source.stem}",
            [source.as_posix()],
            include_dirs=[numpy.get_include(), str(folder)],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
            extra_compile_args=["/O2"] if os.name == "nt" else ["-O3"],
        )
        for package, folder in folders.items()
        for source in sorted(folder.glob("*.pyx"))
    ],
    cmdclass={"build_ext": BuildExt},
    options={"build_ext": {"parallel": JOBS}},
)
