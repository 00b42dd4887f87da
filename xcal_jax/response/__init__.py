"""Results and the files that users open. The room is called like its function.

`xcal_jax.response(...)` is `products.response(...)`, and `xcal_jax.response.products` is a module as ever.
"""

import sys
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import lazy_loader

MODULES = [module.name for module in iter_modules(__path__)]
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, MODULES, {"products": ["response"]})


class Room(ModuleType):
    """A module that is called like the function of its name."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        """What the function returns."""
        return self.response(*args, **named)


sys.modules[__name__].__class__ = Room
