"""The documentation site: `make docs` builds it from the notebooks, the pages in `docs/` and the docstrings."""

from xcal_jax.constants import VERSION

project = "xcal_jax"
author = "the authors of xcal_jax"
release = version = VERSION
extensions = [
    "myst_nb",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]
exclude_patterns = ["**.ipynb_checkpoints"]

html_theme = "furo"
html_title = "xcal_jax"
html_show_sphinx = html_show_copyright = False
html_use_index = False  # wider than a phone; the search finds every name

nb_execution_mode = "off"  # notebooks are stored with their outputs, and run in the tests
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

apidoc_modules = [
    {
        "path": "../xcal_jax",
        "destination": "docs/api",
        "exclude_patterns": ["**/__main__.py", "**/cli"],
        "separate_modules": True,
        "module_first": True,
        "include_private": False,
        "automodule_options": {"members"},
    }
]
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True


def as_written(app, what, name, obj, options, lines: list[str]) -> None:
    """Docstrings are plain text: an indented paragraph is a formula or a table, shown as it is written."""
    text: list[str] = []
    for line in lines:
        indented, before = line.startswith("  "), text[-1] if text else ""
        if indented and not before.strip():
            text += ["::", ""]
        elif indented and not before.startswith("  "):
            text[-1] = f"{before} {line.strip()}"  # a hanging indent
            continue
        elif line and before.startswith("  "):
            text.append("")
        text.append(line if indented else line.replace("|", r"\|"))
    lines[:] = text


def stands_elsewhere(app, what, name, obj, skip, options) -> bool | None:
    """Whether a name is left out of a module's page, because it comes from another module."""
    page = app.env.docname.rpartition("/")[2]
    return True if what == "module" and getattr(obj, "__module__", page) != page else None


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-skip-member", stands_elsewhere)
    app.connect("autodoc-process-docstring", as_written)
