"""The data sheet of an absorber: contents (what is computed), figures and tables, sheet (the page)."""

from pkgutil import iter_modules

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, [module.name for module in iter_modules(__path__)])
