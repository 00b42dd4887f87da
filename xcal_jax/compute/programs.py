"""Functions that are traced and compiled once for all processes.

JAX keeps what XLA has compiled, but traces and lowers a function anew in every process. For the programs of the hot
paths that takes longer than their first million photons, so the lowered form (`jax.export`) is `kept`, too.
"""

from collections.abc import Callable, Hashable
from functools import partial, update_wrapper
from threading import Lock
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
from jax.sharding import Mesh

from xcal_jax.compute.kept import keep_compiled_programs, kept


class Program:
    """A function as `jax.jit` makes it, whose lowered form is kept between processes.

    Its arguments are trees of arrays, and the keywords ``static``. Where one is traced (in `jax.grad`, `jax.vmap`,
    another program), or the work is shared among devices, the function is ``jitted`` alone.
    """

    def __init__(self, function: Callable[..., Any], static: tuple[str, ...], compiler_options: dict[str, Any] | None):
        """``function``, whose keywords ``static`` are no arrays."""
        self.jitted = jax.jit(function, static_argnames=static, compiler_options=compiler_options)
        self.loaded: dict[Hashable, Callable[..., Any]] = {}
        self._function, self._options, self._loading = function, compiler_options, Lock()
        update_wrapper(self, function)

    def __call__(self, *arguments: Any, **static: Any) -> Any:
        """The function's value."""
        keep_compiled_programs()
        leaves, tree = jax.tree.flatten(arguments)
        shared = any(isinstance(value, Mesh) and value.size > 1 for value in static.values())
        if shared or any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return self.jitted(*arguments, **static)
        what = tree, tuple(map(jax.typeof, leaves)), tuple(sorted(static.items())), jnp.result_type(float)
        with self._loading:
            if what not in self.loaded:
                self.loaded[what] = self._load(tree, leaves, static)
        return self.loaded[what](*leaves)

    def _load(self, tree: Any, leaves: list[Any], static: dict[str, Any]) -> Callable[..., Any]:
        """The program for such arguments, a function of their leaves."""

        def lowered() -> tuple[bytes, Any]:
            """The lowered form, which takes leaves and gives leaves, and the tree that these belong to."""
            forms = []

            def on_leaves(*leaves: Any) -> Any:
                found, form = jax.tree.flatten(self._function(*jax.tree.unflatten(tree, leaves), **static))
                forms.append(jax.tree.unflatten(form, range(len(found))))
                return found

            return bytes(jax.export.export(jax.jit(on_leaves))(*leaves).serialize()), forms[0]

        settings = {name: getattr(jax.config, name, None) for name in sorted(jax.config.values)}
        name = f"{self.__module__}.{self._function.__qualname__}"
        what = name, tree, list(map(jax.typeof, leaves)), sorted(static.items()), settings, jax.default_backend()
        program, form = kept(lowered, *map(repr, what))
        run = jax.jit(jax.export.deserialize(bytearray(program)).call, compiler_options=self._options)
        return lambda *leaves: jax.tree.unflatten(jax.tree.structure(form), run(*leaves))


def program(*static: str, compiler_options: dict[str, Any] | None = None) -> Callable[[Callable[..., Any]], Program]:
    """A decorator: the function is a `Program`. static: names of the keywords that are no arrays."""
    return partial(Program, static=static, compiler_options=compiler_options)
