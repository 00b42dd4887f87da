"""Absorbers designed on true gradients. The room is called like its function.

`xcal_jax.design(...)` is `optimise.design(...)`, and `xcal_jax.design.optimise` is a module as ever.
"""

import sys
from pkgutil import iter_modules

import lazy_loader

from xcal_jax.io.rooms import Room

MODULES = [module.name for module in iter_modules(__path__)]
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, MODULES, {"optimise": ["design"]})
sys.modules[__name__].__class__ = Room
