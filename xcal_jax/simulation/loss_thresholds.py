"""Thresholds of the energy lost: the user's, or a default that reaches as far as the photons' energy."""

from collections.abc import Sequence

from xcal_jax.units import Quantity, parse_list

LOW = (50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 3000.0, 5000.0)  # eV
STEPS = (1.0, 2.0, 5.0)  # to a decade, above these
HIGHEST = 0.7  # of the photon energy


def loss_thresholds(given: Sequence[Quantity] | str | None, highest_energy: float) -> tuple[float, ...]:
    """Thresholds (A,) in eV, ascending: those ``given``, or a default for photons of up to ``highest_energy`` eV.

    The default is `LOW` and, above it, 10, 20, 50, 100, ... keV up to 0.7 of the highest energy: `LOW` alone below
    14.3 keV. Raises ValueError where one of those given is not positive and finite, or stands twice.
    """
    if given is None:
        above = [step * 10.0**decade for decade in range(4, 6) for step in STEPS]
        return (*LOW, *(threshold for threshold in above if threshold <= HIGHEST * highest_energy))
    values = sorted(parse_list(given, "eV", "loss_above"))
    if values and values[0] <= 0.0:
        raise ValueError(f"`loss_above` must be positive and finite, but has {values[0]:g} eV")
    if len(set(values)) < len(values):
        raise ValueError(f"`loss_above` must have each threshold once, but is {', '.join(f'{v:g}' for v in values)} eV")
    return tuple(values)
