"""An absorber as its TOML file describes it: layers from the top, each a material, a thickness and a density."""

import difflib
import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import wraps
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike
from typing_extensions import TypedDict

from xcal_jax.absorber.filters import Filter, FilterTable
from xcal_jax.atomic import ELEMENTS, Material
from xcal_jax.constants import COMPTON, COSTER_KRONIG, DEFAULT_PHYSICS, ELECTRONS, PHYSICS
from xcal_jax.io import toml
from xcal_jax.io.arguments import checked
from xcal_jax.io.schema import (
    LONGEST,
    Density,
    Energy,
    Extent,
    Length,
    OneOrMore,
    Pair,
    Place,
    Some,
    listed,
    one_of,
    whole,
)
from xcal_jax.physics.geometry import Pixels, Stack, Substrate
from xcal_jax.units import Quantity, parse_quantity, shown, shown_path

MOST_PIXELS = 64  # along a side of an array
VACUUM = "vacuum"  # in the place of a material
CHOICES = {"electrons": ELECTRONS, "physics": PHYSICS, "coster_kronig": COSTER_KRONIG}
UNUSUAL = 2.0  # factor between a density and that of the tables, beyond which a warning says so
THINNEST = 1e-4  # um; a layer of less is hardly meant
Made = TypeVar("Made")


def made_by(builders: str) -> Callable[[type[Made]], type[Made]]:
    """Decorator of a dataclass that users make with its ``builders``: who calls it by mistake is told so."""

    def decorate(cls: type[Made]) -> type[Made]:
        take = cls.__init__

        @wraps(take)
        def __init__(self: Made, *args: Any, **fields: Any) -> None:
            try:
                take(self, *args, **fields)
            except TypeError as problem:
                raise TypeError(f"{cls.__name__} is made by {builders}, not by {cls.__name__}(...)") from problem

        cls.__init__ = __init__  # type: ignore[assignment, method-assign]
        return cls

    return decorate


def same(one: Any, other: Any) -> bool:
    """Whether two pytrees are of one kind and hold the same numbers."""
    (numbers, kind), (others, other_kind) = jax.tree.flatten(one), jax.tree.flatten(other)
    alike: Any = kind
    return bool(alike == other_kind) and all(map(np.array_equal, numbers, others))


class ArrayTable(TypedDict):
    """The table [array] of a TOML file: equal absorbers side by side."""

    rows: Annotated[int, whole(least=1, most=MOST_PIXELS)]
    columns: Annotated[int, whole(least=1, most=MOST_PIXELS)]
    pitch: Annotated[OneOrMore[Length], listed(1, 2)]


class LayerTable(TypedDict):
    """A table [[layers]] of a TOML file; counts: whether energy that stays there is signal, not so in a dead layer.

    The material "vacuum" is a gap. It has no density and holds no energy. width: of a substrate that is wider than what
    stands on it, which no layer of it counts; it has the layers below too. length: the same if left out; offset: of
    the absorber's centre, or its array's, from the centre of the substrate.
    """

    material: str
    thickness: Length
    density: NotRequired[Density]
    counts: NotRequired[bool]
    width: NotRequired[Extent]
    length: NotRequired[Extent]
    offset: NotRequired[Pair[Place]]


class Models(TypedDict):
    """The models of an absorber: one word for all, or one each."""

    physics: NotRequired[Annotated[str, one_of(*PHYSICS)]]
    electrons: NotRequired[Annotated[str, one_of(*ELECTRONS)]]
    compton: NotRequired[Annotated[str, one_of(*COMPTON)]]
    rayleigh: NotRequired[bool]
    coster_kronig: NotRequired[Annotated[str, one_of(*COSTER_KRONIG)]]


class AbsorberTable(Models):
    """The TOML file of an absorber."""

    name: NotRequired[str]
    width: Length
    length: NotRequired[Length]
    fwhm: NotRequired[Energy]
    array: NotRequired[ArrayTable]
    layers: Some[LayerTable]
    filters: NotRequired[list[FilterTable]]


@jax.tree_util.register_dataclass
@made_by("Absorber.load('xifu'), of a preset or a TOML file, or Absorber.build([('Bi', '5.15 um')], width, length)")
@dataclass(frozen=True, eq=False, repr=False)
class Absorber:
    """A rectangular absorber of L layers.

    thickness: (L,) um, from the top; density: (L,) g/cm3, 0 in vacuum; width (along x), length (along y): () um.
    formulas: the material of each layer, or "vacuum"; dead: numbers of the layers whose energy does not count, vacuum
    among them; electrons, compton: the models of electrons and of Compton scattering;
    rayleigh: whether photons scatter coherently; coster_kronig: the set of Coster-Kronig probabilities; array: the
    array of equal absorbers that it stands for, or None for one alone; fwhm: eV, of its detector, or None; matrices
    alone ask for it; filters: in front of it, which change the photons that come, and nothing else; substrate: the
    lowest layers where they are wider than the others, or None.
    """

    thickness: Array
    density: Array
    width: Array
    length: Array
    formulas: tuple[str, ...] = field(metadata={"static": True})
    name: str = field(default="absorber", metadata={"static": True})
    electrons: str = field(default=PHYSICS[DEFAULT_PHYSICS]["electrons"], metadata={"static": True})
    compton: str = field(default=PHYSICS[DEFAULT_PHYSICS]["compton"], metadata={"static": True})
    rayleigh: bool = field(default=PHYSICS[DEFAULT_PHYSICS]["rayleigh"], metadata={"static": True})
    coster_kronig: str = field(default=COSTER_KRONIG[0], metadata={"static": True})
    array: Pixels | None = None
    fwhm: float | None = field(default=None, metadata={"static": True})
    dead: tuple[int, ...] = field(default=(), metadata={"static": True})
    filters: tuple[Filter, ...] = field(default=(), metadata={"static": True})
    substrate: Substrate | None = None

    @classmethod
    def build(
        cls,
        layers: Iterable[Sequence[Any] | Mapping[str, Any]],
        width: Quantity,
        length: Quantity | None = None,
        name: str = "absorber",
        electrons: str | None = None,
        compton: str | None = None,
        rayleigh: bool | None = None,
        array: dict[str, Any] | None = None,
        physics: str | None = None,
        coster_kronig: str | None = None,
        fwhm: str | float | None = None,
        filters: Iterable[Mapping[str, Any]] | None = None,
    ) -> "Absorber":
        """An absorber of ``layers``: (material, thickness) or (material, thickness, density) from the top; um, g/cm3.

        A layer may also be a mapping with these keys, as in a TOML file, where "counts": False makes it a dead layer:
        its energy is lost to the signal; its "width", "inf" or a number, makes a wider substrate of it and of those
        below. The material "vacuum" is a gap. Lengths and densities may have units of their own. A density may be left
        out where the tables know it. length: the width if left out. array: {"rows": 3, "columns": 3, "pitch": 317.0}
        for equal pixels side by side; a pitch may be two, along x and y. physics: "paper" or "full", one word for the
        three models; each of them may be given beside it. coster_kronig: "eadl" or "krause", how often L vacancies move
        within the L shell. fwhm: eV, of its detector. filters: sheets in front, such as {"material": "Al", "thickness":
        "30 nm"}; a "fill" is the fraction of the area that a mesh covers.
        Raises ValueError where a material is unknown, a length or density is not positive and finite, there are
        no layers that count, a model is unknown, or pixels would overlap. Warns where a density is unlike that of the
        tables, or a formula looks like an element in capitals.

        >>> Absorber.build([("Au", "40 nm"), ("Bi", 5.15, "9.78 g/cm3")], width="269.5 um", length="269.5 um")
        <Absorber 'absorber': 0.04 um Au / 5.15 um Bi, 269.5 x 269.5 um, physics: paper>
        """
        if isinstance(layers, str | bytes | Mapping) or not isinstance(layers, Iterable):
            raise ValueError(f"`layers` must be a list of layers like ('Bi', '5.15 um'), but is {shown(layers)}")
        if isinstance(filters, str | bytes | Mapping) or not isinstance(filters, Iterable | None):
            example = "{'material': 'Al', 'thickness': '30 nm'}"
            raise ValueError(f"`filters` must be a list of sheets like {example}, but is {shown(filters)}")
        table = {
            "width": width,
            "length": length,
            "name": name,
            "physics": physics,
            "electrons": electrons,
            "compton": compton,
            "rayleigh": rayleigh,
            "coster_kronig": coster_kronig,
            "fwhm": fwhm,
            "array": array,
            "layers": [_layer_table(n, layer) for n, layer in enumerate(layers)],
            "filters": filters and [dict(each) if isinstance(each, Mapping) else each for each in filters],
        }
        table = {key: value for key, value in table.items() if value is not None}
        return _doubted(cls.from_table(table, "absorber"), "absorber")

    @classmethod
    def of_units(cls, formulas: tuple[str, ...], **models: Any) -> "Absorber":
        """Layers 1 um thick, of 1 g/cm3, 1 um wide, with ``models``: for what depends on the materials alone."""
        ones = double(np.ones(len(formulas)))
        return cls(ones, ones, double(1.0), double(1.0), formulas, **models)

    @classmethod
    @checked
    def from_toml(cls, text: str, where: str = "absorber") -> "Absorber":
        """The absorber that the ``text`` of a TOML file describes; ``where`` names it in errors.

        Raises ValueError as `build` does, and for keys that are unknown or missing.
        """
        return cls._of(toml.parse(text, where, AbsorberTable), where)

    @classmethod
    def from_table(cls, table: dict[str, Any], where: str) -> "Absorber":
        """The absorber that the ``table`` of a TOML file describes; ``where`` names it in errors.

        Raises ValueError as `build` does, and for keys that are unknown or missing.
        """
        return cls._of(toml.check(table, where, AbsorberTable), where)

    @classmethod
    def _of(cls, table: AbsorberTable, where: str) -> "Absorber":
        table.setdefault("length", table["width"])
        models = PHYSICS[table.get("physics", DEFAULT_PHYSICS)]
        given: dict[str, Any] = {**table}
        density = _made("layers", table["layers"], _density, where)
        dead = tuple(
            n for n, layer in enumerate(table["layers"]) if not layer.get("counts", layer["material"] != VACUUM)
        )
        filters = _made("filters", table.get("filters", []), Filter.of, where)
        if len(dead) == len(density):
            raise ValueError(f"`layers` in {where} must have one that counts, but all are dead layers or vacuum")
        array = _pixels(table, where) if "array" in table else None
        return cls(
            double([layer["thickness"] for layer in table["layers"]]),
            double(density),
            double(table["width"]),
            double(table["length"]),
            tuple(layer["material"] for layer in table["layers"]),
            table.get("name", "absorber"),
            **{model: given.get(model, own) for model, own in models.items()},
            coster_kronig=table.get("coster_kronig", COSTER_KRONIG[0]),
            array=array,
            fwhm=table.get("fwhm"),
            dead=dead,
            filters=tuple(filters),
            substrate=_substrate(table, dead, array, where),
        )

    @classmethod
    @checked
    def load(
        cls,
        name: "Absorber | str | os.PathLike[str]",
        electrons: str | None = None,
        physics: str | None = None,
        coster_kronig: str | None = None,
    ) -> "Absorber":
        """The preset of that name, or else the TOML file at that path, with other models if they are given.

        An absorber stays what it is, so that functions take either. electrons: the electron model; physics: "paper" or
        "full", for all models that ``electrons`` does not name; coster_kronig: "eadl" or "krause".
        Raises ValueError when it is neither, or a model is unknown.

        >>> Absorber.load("gold", physics="full")
        <Absorber 'gold': 0.9655 um Au, 340 x 340 um, physics: full>
        """
        words = {"electrons": electrons, "physics": physics, "coster_kronig": coster_kronig}
        given = {word: model for word, model in words.items() if model is not None}
        if given:
            for word, model in given.items():
                if model not in CHOICES[word]:
                    raise ValueError(f"`{word}` must be one of {', '.join(CHOICES[word])}, but is {shown(model)}")
            models = PHYSICS[given.pop("physics")] if physics else {}
            return replace(cls.load(name), **(models | given))
        if isinstance(name, Absorber):
            return name
        if name in presets():
            return cls.preset(str(name))
        path = Path(name)
        if not os.path.isfile(path):
            nearest = difflib.get_close_matches(str(name).lower(), presets(), 1)
            hint = f"; the nearest preset is {nearest[0]!r}" if nearest else ""
            raise ValueError(
                f"absorber must be a preset ({', '.join(presets())}) or a TOML file, but is {shown_path(name)}{hint}"
            )
        where = f"absorber {shown_path(path)}"
        return _doubted(cls._of(toml.read(path, "absorber", AbsorberTable), where), where)

    @classmethod
    @checked
    def preset(cls, name: str) -> "Absorber":
        """The shipped absorber ``name``, one of `presets`. Raises ValueError for any other name.

        >>> Absorber.preset("gold").formulas
        ('Au',)
        """
        if name not in presets():
            raise ValueError(f"preset must be one of {', '.join(presets())}, but is {shown(name)}")
        return cls.from_toml(_preset_folder().joinpath(f"{name}.toml").read_text(encoding="utf-8"), f"preset {name!r}")

    def to_toml(self) -> str:
        """The absorber in full, as a TOML file that `load` reads back."""
        lines = [
            f"name = {toml.quoted(self.name)}",
            f'width = "{float(self.width)!r} um"',
            f'length = "{float(self.length)!r} um"',
            f"electrons = {json.dumps(self.electrons)}",
            f"compton = {json.dumps(self.compton)}",
            f"rayleigh = {json.dumps(self.rayleigh)}",
            f"coster_kronig = {json.dumps(self.coster_kronig)}",
        ]
        if self.fwhm is not None:
            lines.append(f'fwhm = "{self.fwhm!r} eV"')
        if self.array is not None:
            pitch = f'"{float(self.array.pitch_x)!r} um", "{float(self.array.pitch_y)!r} um"'
            rows, columns = self.array.shape
            lines += ["[array]", f"rows = {rows}", f"columns = {columns}", f"pitch = [{pitch}]"]
        for n, (formula, thickness, density) in enumerate(
            zip(self.formulas, self.thickness, self.density, strict=True)
        ):
            lines += ["[[layers]]", f"material = {toml.quoted(formula)}", f'thickness = "{float(thickness)!r} um"']
            if formula != VACUUM:
                lines.append(f"density = {float(density)!r}")
                lines += ["counts = false"] if n in self.dead else []
            if self.substrate is not None and n == self.substrate.first:
                lines += self._substrate_lines()
        for each in self.filters:
            lines += each.to_toml()
        return "\n".join(lines) + "\n"

    def _substrate_lines(self) -> list[str]:
        """The keys of the first layer of the substrate in a TOML file."""
        wide = cast(Substrate, self.substrate)
        width, length, x, y = (_length(side) for side in (wide.width, wide.length, -wide.x, -wide.y))
        return [f"width = {width}", f"length = {length}", f"offset = [{x}, {y}]"]

    def __eq__(self, other: object) -> bool:
        """Whether ``other`` is the same absorber, number by number."""
        return same(self, other)

    def __hash__(self) -> int:
        """That of its TOML."""
        return hash(self.to_toml())

    def __repr__(self) -> str:
        """Layers from the top, sides and model in a line."""
        try:
            layers = " / ".join(f"{t:g} um {f}" for f, t in zip(self.titles, self.thickness, strict=True))
            pixels = "" if self.array is None else f", array of {self.array.rows} x {self.array.columns}"
            sides = f"{self.width:g} x {self.length:g} um{pixels}"
        except TypeError:  # traced, or many absorbers in one
            layers, sides = " / ".join(self.titles), f"thickness {self.thickness}, {self.width} x {self.length}"
        models = f"electrons: {self.electrons}" if self.physics == "mixed" else f"physics: {self.physics}"
        behind = f", behind {' / '.join(map(str, self.filters))}" if self.filters else ""
        return f"<Absorber {self.name!r}: {layers}, {sides}{behind}, {models}>"

    def with_thickness(self, thickness: Array | Sequence[Quantity]) -> "Absorber":
        """The absorber with other thicknesses (L,), um, of its layers; they may be traced, as `observables` has it.

        Raises ValueError where there is not one for each layer, or one is no length.

        >>> Absorber.preset("gold").with_thickness(["2 um"])
        <Absorber 'gold': 2 um Au, 340 x 340 um, physics: paper>
        """
        layers = len(self.formulas)
        if isinstance(thickness, list | tuple) and any(isinstance(um, jax.core.Tracer) for um in thickness):
            thickness = jnp.stack([jnp.asarray(um, float) for um in thickness])
        if np.shape(thickness) != (layers,):
            raise ValueError(f"`thickness` must be {layers} lengths, one for each layer, but is {shown(thickness)}")
        if isinstance(thickness, jax.core.Tracer):
            return replace(self, thickness=thickness)
        found = [parse_quantity(um, "um", f"thickness.{n}", above=0.0, most=LONGEST) for n, um in enumerate(thickness)]
        return replace(self, thickness=double(found))

    @property
    def physics(self) -> str:
        """The word that stands for all of its models, or "mixed" where none does."""
        own = {"electrons": self.electrons, "compton": self.compton, "rayleigh": self.rayleigh}
        return next((name for name, models in PHYSICS.items() if models == own), "mixed")

    @property
    def titles(self) -> tuple[str, ...]:
        """The material of each layer, and whether that is a dead one, in words."""
        first = len(self.formulas) if self.substrate is None else self.substrate.first
        words = ["dead" if n < first else "dead, wide" for n in range(len(self.formulas))]
        marked = enumerate(zip(self.formulas, words, strict=True))
        return tuple(f"{f} ({word})" if n in self.dead and f != VACUUM else f for n, (f, word) in marked)

    @property
    def stack(self) -> Stack:
        """The geometry alone, as JAX arrays."""
        thickness, width, length = (jnp.asarray(side) for side in (self.thickness, self.width, self.length))
        pixels, substrate = jax.device_put((self.array, self.substrate))
        return Stack(thickness, width, length, pixels, self.dead, substrate)

    def check_alone(self, what: str) -> None:
        """Raise ValueError where the absorber is an array, since ``what`` is of one absorber alone."""
        if self.array is not None:
            raise ValueError(f"{what} is of one absorber alone, but {self.name!r} has an [array]: leave that out")

    def check_as_wide(self, what: str) -> None:
        """Raise ValueError where a substrate is wider than the absorber, since ``what`` needs layers of one width."""
        if self.substrate is not None:
            rule = f"that of {self.name!r} is {_length(self.substrate.width)} wide: leave out its `width`"
            raise ValueError(f"{what} needs a substrate as wide as the absorber, but {rule}")

    @property
    def parted_by(self) -> int | None:
        """Number of the first layer that does not count between layers that do, or None."""
        counting = [n for n in range(len(self.formulas)) if n not in self.dead]
        return next((n for n in self.dead if counting[0] < n < counting[-1]), None)

    def check_touching(self, what: str) -> None:
        """Raise ValueError where a layer that does not count parts others that do, as ``what`` needs these together."""
        n = self.parted_by
        if n is not None:
            rule = f"layer {n} ({self.formulas[n]}) parts them"
            raise ValueError(f"{what} needs layers that count to touch, but in {self.name!r} {rule}")


def double(value: ArrayLike) -> Array:
    """``value`` in double precision on the host, whatever JAX's own: it is rounded only when a program takes it."""
    return cast(Array, np.asarray(value, dtype=np.float64))


def presets() -> list[str]:
    """Names of the shipped absorbers, which `Absorber.preset` and every function of an absorber take.

    >>> "xifu" in presets()
    True
    """
    return sorted(entry.name.removesuffix(".toml") for entry in _preset_folder().iterdir())


def _made(name: str, tables: Iterable[Any], make: Callable[[Any], Any], where: str) -> list[Any]:
    """The results of ``make`` for each of the ``tables`` [[name]]; ``where`` names the file in errors."""
    found = []
    for n, table in enumerate(tables):
        try:
            found.append(make(table))
        except ValueError as problem:
            raise ValueError(f"`{name}.{n}` in {where}: {problem}") from problem
    return found


def _density(layer: LayerTable) -> float:
    """Density of a layer, g/cm3."""
    if layer["material"] != VACUUM:
        return Material.build(layer["material"], layer.get("density")).density
    for key, wrong in (("density", "density" in layer), ("counts = true", layer.get("counts", False))):
        if wrong:
            raise ValueError(f"{VACUUM} holds no energy and must not have `{key}`")
    return 0.0


def _length(um: Array) -> str:
    """A length as a TOML file has it."""
    return '"inf"' if np.isinf(um) else f'"{float(um)!r} um"'


def _substrate(table: AbsorberTable, dead: tuple[int, ...], array: Pixels | None, where: str) -> Substrate | None:
    """The substrate that begins with the layer that has a width; it holds all of the absorber, or of the ``array``."""
    layers, keys = table["layers"], ("width", "length", "offset")
    wide = [n for n, layer in enumerate(layers) if any(key in layer for key in keys)]
    if not wide:
        return None
    first, *others = wide
    place = f"`layers.{first}` in {where}"
    if others:
        raise ValueError(
            f"`layers.{others[0]}` in {where} must not have a width of its own: it has that of layer {first}"
        )
    if "width" not in layers[first]:
        raise ValueError(f"{place} must have a `width` beside its length or offset")
    if counting := [n for n in range(first, len(layers)) if n not in dead]:
        rule = f"layer {counting[0]} ({layers[counting[0]]['material']}) of it counts: give it counts = false"
        raise ValueError(f"{place} has a width and begins a substrate, but {rule}")
    width, offset = layers[first]["width"], layers[first].get("offset", [0.0, 0.0])
    sides = width, layers[first].get("length", width)
    rows, columns = (1, 1) if array is None else array.shape
    pitch = (0.0, 0.0) if array is None else (float(array.pitch_x), float(array.pitch_y))
    boxes = table["width"] + (columns - 1) * pitch[0], table["length"] + (rows - 1) * pitch[1]
    for name, side, box, aside in zip(keys, sides, boxes, offset, strict=False):
        if side < (least := box + 2.0 * abs(aside)):
            raise ValueError(
                f"`{name}` of {place} must be at least {least:g} um to hold the absorber, but is {side:g} um"
            )
    return Substrate(double(sides[0]), double(sides[1]), double(-offset[0]), double(-offset[1]), first)


def _preset_folder() -> Traversable:
    return resources.files("xcal_jax.absorber") / "presets"


def _layer_table(n: int, layer: Sequence[Any] | Mapping[str, Any]) -> dict[str, Any]:
    """A layer of `Absorber.build` as a table of a TOML file."""
    if isinstance(layer, Mapping):
        return dict(layer)
    if isinstance(layer, str) or not isinstance(layer, Sequence) or not 2 <= len(layer) <= 3:
        raise ValueError(f"layer {n} must be (material, thickness) or with a density, but is {shown(layer)}")
    table = zip(("material", "thickness", "density"), layer, strict=False)
    return {key: value for key, value in table if key != "density" or value is not None}


def _doubted(absorber: Absorber, where: str) -> Absorber:
    """``absorber``, with a warning of what is hardly meant.

    Layers all thinner than an atom, densities unlike the tables', and elements in capitals, which are compounds.
    """
    if 0.0 < (thickest := absorber.thickness.max()) < THINNEST:
        rule = f"is {thickest:g} um, less than an atom's size: numbers without a unit are in um"
        warnings.warn(f"the thickest layer of {where} {rule}", UserWarning, stacklevel=3)
    for n, (formula, density) in enumerate(zip(absorber.formulas, absorber.density, strict=True)):
        if formula == VACUUM:
            continue
        place = f"`layers.{n}` in {where}"
        if formula.isupper() and formula not in ELEMENTS and formula.capitalize() in ELEMENTS:
            rule = f"is a compound of {' and '.join(formula)}: the element is {formula.capitalize()!r}"
            warnings.warn(f"{place}: {formula!r} {rule}", UserWarning, stacklevel=3)
            continue
        with suppress(ValueError):
            known = Material.build(formula).density
            if not 1.0 / UNUSUAL <= density / known <= UNUSUAL:
                rule = f"is {density:g} g/cm3, where the tables have {known:g} g/cm3"
                warnings.warn(f"{place}: the density of {formula} {rule}", UserWarning, stacklevel=3)
    return absorber


def _pixels(table: AbsorberTable, where: str) -> Pixels:
    array = table["array"]
    pitch = array["pitch"]
    sides = ("width", table["width"]), ("length", table["length"])
    for one, (name, side) in zip((pitch[0], pitch[-1]), sides, strict=True):
        if one < side:
            rule = f"at least the {name}, {side:g} um"
            raise ValueError(f"`array.pitch` in {where} must be {rule}, but is {one:g} um")
    return Pixels(double(pitch[0]), double(pitch[-1]), array["rows"], array["columns"])
