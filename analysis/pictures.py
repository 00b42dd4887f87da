"""The pictures of the README: `python analysis/pictures.py [--out notebooks/docs/pictures]`, a minute on two cores.

The spectrum of 7 keV photons in the X-IFU absorber with all of the physics; what the absorber loses between 0.3 and
11.9 keV; and the noise threshold of a SYNTHETIC GRBAlpha.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from xcal_jax import Absorber, simulate
from xcal_jax.io.figures import save_figure
from xcal_jax.plot.response import escape_figure
from xcal_jax.plot.results import spectrum_figure
from xcal_jax.response.components import rows_of, simulate_response
from xcal_jax.response.nodes import Settings
from xcal_jax.sipm import load_mission
from xcal_jax.sipm.figures.trends import threshold_figure
from xcal_jax.sipm.pipeline import Files, analyse
from xcal_jax.sipm.synthetic import synthesize


def spectrum() -> Figure:
    """Deposited energies of 1e7 photons of 7 keV."""
    return spectrum_figure(simulate(Absorber.load("xifu", physics="full"), 7000.0, n=10_000_000))


def losses() -> Figure:
    """Losses and escape peaks against the photon's energy."""
    absorber = Absorber.preset("xifu")
    return escape_figure(simulate_response(absorber, rows_of(absorber, np.arange(300.0, 11901.0, 50.0)), Settings()))


def ageing() -> Figure:
    """The threshold over the mission, in ADC channels and in keV."""
    mission = load_mission("grbalpha")
    drawn = synthesize(mission)
    return threshold_figure(analyse(mission, Files(drawn.spectra, drawn.template, drawn.activation, drawn.ground)))


PICTURES: dict[str, Callable[[], Figure]] = {"spectrum": spectrum, "losses": losses, "ageing": ageing}


def main() -> None:
    """Draw every picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("notebooks/docs/pictures"), help="folder to write into")
    parser.add_argument("--only", choices=PICTURES, help="one picture")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in [arguments.only] if arguments.only else PICTURES:
        save_figure(PICTURES[name](), arguments.out / f"{name}.png")
        print(arguments.out / f"{name}.png")


if __name__ == "__main__":
    main()
