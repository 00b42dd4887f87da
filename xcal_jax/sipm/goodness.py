"""What a joint fit says against itself, in words: scatter that its groups do not have, and residuals with a memory.

A fit whose errors come from the scatter of its points never looks bad by its errors. Two tests show it. The scatter of
the groups about the fit is compared with that within the groups (Fisher's F); and where the fit is right, neighbouring
residuals are independent (von Neumann 1941, doi 10.1214/aoms/1177731677).
"""

import numpy as np
import xarray as xr
from scipy.stats import f as fisher
from scipy.stats import norm

from xcal_jax import fit
from xcal_jax.io.arguments import checked

CHANCE = 1e-3  # of a warning where nothing is wrong


@checked
def warnings_of(joint: xr.Dataset) -> list[str]:
    """One sentence for each fault that the residuals of a joint fit show, possibly none.

    joint: of `joint_fit`. Scatter is compared where the points are groups that have several values. Errors that all
    points share are taken off by whitening.
    """
    columns = np.column_stack([joint["slopes"].values, joint["residual"].values])
    white = fit.whiten(columns / np.linalg.norm(columns, axis=0), joint["error"].values, joint["shared"].values)
    basis, _ = np.linalg.qr(white[:, :-1])
    rest = white[:, -1] - basis @ (basis.T @ white[:, -1])
    rest = rest[np.argsort(joint["days"].values)] * np.linalg.norm(columns[:, -1])
    degrees, within, found = int(joint["degrees"]), int(joint.attrs.get("freedom", 0)), []
    total = float(rest @ rest)
    if degrees > 0 and within > 0:
        reduced = total / degrees
        more, less = fisher.sf(reduced, degrees, within), fisher.cdf(reduced, degrees, within)
        if more < CHANCE:
            found.append(
                f"groups scatter {np.sqrt(reduced):.1f} times as much about the fit as within themselves (chi2/nu "
                f"{reduced:.3g}, p {more:.1g}): it lacks a cause that changes from group to group"
            )
        if less < CHANCE:
            found.append(
                f"groups scatter {np.sqrt(reduced):.1g} times as much about the fit as within themselves (chi2/nu "
                f"{reduced:.2g}, p {less:.1g}): within a group, values vary by a cause that their mean does not show"
            )
    if degrees > 0 and total > 0:
        alike = float(rest[1:] @ rest[:-1]) / total
        chance = norm.sf((alike + 1 / rest.size) * np.sqrt(rest.size))
        if chance < CHANCE:
            found.append(
                f"neighbouring residuals are alike (correlation {alike:.2f}, p {chance:.1g}): the trend has a shape "
                "that the fit has not, so that its errors are too small and steps may be parts of that shape"
            )
    return found
