"""Labels that several figures share: an absorber's layers, and the names of escape peaks where there is room."""

from collections.abc import Iterable, Iterator

from matplotlib.axes import Axes

from xcal_jax.absorber.absorber import Absorber

MOST = 12  # names of peaks in a figure
APART = 75  # a name closer than the width of the axes over this to another is left out


def layers(absorber: Absorber) -> list[str]:
    """Thickness and material of each layer, from the top."""
    return [f"{t:g} µm {f}" for t, f in zip(absorber.thickness, absorber.titles, strict=True)]


def title(absorber: Absorber) -> str:
    """Name and layers of an absorber, for the first line of a figure."""
    return f"{absorber.name}: {' / '.join(layers(absorber))}"


def with_room(
    peaks: Iterable[tuple[str, float, float]], least: float, most: int = MOST
) -> Iterator[tuple[str, float, float]]:
    """The ``peaks``, (name, energy, height), that are ``least`` from all taken before, at most so many."""
    taken: list[float] = []
    for peak in peaks:
        if len(taken) < most and all(abs(peak[1] - other) >= least for other in taken):
            taken.append(peak[1])
            yield peak


def name_peaks(axes: Axes, peaks: Iterable[tuple[str, float, float]]) -> None:
    """Write the name of each line at its energy (eV) above its height, at most `MOST`, where there is room."""
    left, right = axes.get_xlim()
    for line, energy, height in with_room(peaks, (right - left) / APART):
        axes.annotate(
            f"{line}  {energy:.0f} eV",
            (energy, height),
            xytext=(0, 6),
            textcoords="offset points",
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=7,
        )
