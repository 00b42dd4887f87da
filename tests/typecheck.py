"""Checks the shapes in the types of functions, while tests run: jaxtyping says what they mean, beartype checks them.

`install` must run before the package is imported. Every function and method of a module or class of the package
whose types hold a jaxtyping type is then checked at each call, with all its other arguments, and refuses a wrong
shape or dtype with `jaxtyping.TypeCheckError`. Fields of dataclasses are not checked: JAX rebuilds the classes
that are pytrees with None, numbers and tracers in place of arrays. Functions within functions are not either.

(`jaxtyping.install_import_hook` would check the dataclasses, and slow every function that has no such type.)
"""

import ast
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from typing import get_args

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, jaxtyped

PACKAGE = "xcal_jax"
CHECK = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as for mypy


def shaped(annotation) -> bool:
    """Whether a jaxtyping type stands in an annotation."""
    if isinstance(annotation, list):  # arguments of a Callable
        return any(map(shaped, annotation))
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return True
    return any(map(shaped, get_args(annotation)))


def checked(function):
    """The function, with its arguments and its result checked at every call if one of its types has a shape."""
    if not any(map(shaped, function.__annotations__.values())):
        return function
    return jaxtyped(function, typechecker=CHECK)


class Checks(ast.NodeTransformer):
    """Puts `checked` next to each function of a module or class, below its other decorators."""

    def visit_FunctionDef(self, node):
        name = ast.parse(f"__import__({__name__!r}, fromlist=['checked']).checked", mode="eval").body
        for part in ast.walk(name):
            ast.copy_location(part, node)
        node.decorator_list.append(name)
        return node  # its inner functions are not visited


class Loader(SourceFileLoader):
    """Compiles a file with `Checks` in it. It keeps no bytecode: a program without checks must not find it."""

    def get_code(self, fullname):
        tree = Checks().visit(ast.parse(self.get_data(self.path), self.path))
        return compile(tree, self.path, "exec", dont_inherit=True)


class Finder(MetaPathFinder):
    """Finds the package's files for `Loader`."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.split(".")[0] != PACKAGE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


def install() -> None:
    """Check the package's functions from now on. Raises RuntimeError where it has been imported without checks."""
    if any(name.split(".")[0] == PACKAGE for name in sys.modules):
        raise RuntimeError(f"{PACKAGE} was imported before its types could be checked")
    sys.meta_path.insert(0, Finder())
