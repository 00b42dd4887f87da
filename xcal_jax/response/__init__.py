"""From simulated energies to matrices, and lines that are fitted with them. The room is called like its function.

`xcal_jax.response(...)` is `products.response(...)`, and `xcal_jax.response.products` is a module as ever.
"""

import sys
from pkgutil import iter_modules

import lazy_loader

from xcal_jax.io.rooms import Room

MODULES = [module.name for module in iter_modules(__path__)]
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, MODULES, {"products": ["response"]})
sys.modules[__name__].__class__ = Room
