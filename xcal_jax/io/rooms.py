"""Rooms that are called like a function: `xcal_jax.design(...)` beside the module `xcal_jax.design.optimise`."""

from types import ModuleType
from typing import Any


class Room(ModuleType):
    """A module that can be called: it hands on to the function in it that has its own name."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        """The result of the function."""
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **named)
