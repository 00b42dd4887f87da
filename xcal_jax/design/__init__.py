"""Absorbers designed on true gradients. The room is called like its function.

`xcal_jax.design(...)` is `optimise.design(...)`, and `xcal_jax.design.optimise` is a module as ever.
"""

import sys
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import lazy_loader

MODULES = [module.name for module in iter_modules(__path__)]
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, MODULES, {"optimise": ["design"]})


class Room(ModuleType):
    """A module that is called like the function of its name."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        """What the function returns."""
        return self.design(*args, **named)


sys.modules[__name__].__class__ = Room
