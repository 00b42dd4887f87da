"""The tables of weighted histories: those of the Monte Carlo, and biased laws for what is rare.

Fluorescence is rare (Bi M5: 4 %), so cascades are drawn with up to `RICHER` times the yields, at most `MOST`, and
weighted back. A scale on the yields is then one more factor of the weight. Scattering is rare too: `SCATTERED` of the
interactions are drawn from it alone.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xcal_jax.absorber import padding
from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter
from xcal_jax.compute.kept import keep_compiled_programs
from xcal_jax.compute.shapes import Flag, Real, Whole
from xcal_jax.constants import PHYSICS
from xcal_jax.expected.electrons import MODELS, ElectronModel
from xcal_jax.expected.parameters import Parameters
from xcal_jax.physics.discrete import Discrete

RICHER, MOST = 8.0, 0.5
SCATTERED = 0.05
CERTAIN = 1.0 - 1e-9  # a yield that is 1
NO_IMPULSE = (
    "Compton scattering is the paper's (Klein-Nishina x S, no vacancy, no recoil): the weights of moving electrons' "
    "momenta are not differentiated"
)
NO_RAYLEIGH = (
    "Rayleigh scattering is left out: what has only been deflected is no interaction, and its weight not known"
)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tables:
    """The tables of an absorber's materials, for any thicknesses: C channels, S subshells, T transitions.

    scattering: rows M R, outcomes C, the channels of `Attenuation` given that the photon is scattered; cascade: rows S,
    outcomes T, the transitions as drawn; fluorescence, drawn: (S,) probability of a photon by the yields, and as drawn.
    All are padded; lines: (2,) int32, numbers of subshells and transitions before that. electrons: the electron
    model, `straight` or `scattering`.
    """

    matter: Matter
    scattering: Discrete
    cascade: Discrete
    fluorescence: Array
    drawn: Array
    lines: Array
    electrons: ElectronModel = field(metadata={"static": True})

    @classmethod
    def build(cls, absorber: Absorber, yields: str = "eadl") -> "Tables":
        """The tables of ``absorber``; yields: "eadl" or "krause". Raises ValueError for an array, and where a
        dead layer or a gap parts layers that count.

        Its photons scatter as `differentiable` says.
        """
        keep_compiled_programs()
        absorber.check_alone("a derivative")
        absorber.check_touching("a derivative")
        absorber.check_as_wide("a derivative")
        matter = Matter.build(differentiable(absorber)[0], yields)
        free = np.asarray(matter.relaxation.analog.probabilities)
        radiative = np.asarray(matter.relaxation.radiative)
        decays = np.asarray(matter.relaxation.decays)
        fluorescence = np.where(decays, np.sum(free * radiative, axis=1), 0.0)
        mixed = (fluorescence > 0.0) & (fluorescence < CERTAIN)
        drawn = np.where(mixed, np.maximum(fluorescence, np.minimum(RICHER * fluorescence, MOST)), fluorescence)
        scatters = np.asarray(matter.attenuation.code) >= matter.relaxation.subshells
        rows = matter.attenuation.energy.shape[0]
        channels = np.asarray(matter.attenuation.channels.probabilities)
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.where(radiative, (drawn / fluorescence)[:, None], ((1 - drawn) / (1 - fluorescence))[:, None])
        larger = padding.padded(matter)
        room = larger.relaxation.subshells
        tables = cls(
            larger,
            padding.channels(Discrete.build(channels * np.repeat(scatters, rows, axis=0)), len(scatters)),
            padding.cascades(Discrete.build(np.where(mixed[:, None], free * np.nan_to_num(scale), free))),
            padding.more(fluorescence, 0, room),
            padding.more(drawn, 0, room),
            jnp.array(free.shape, jnp.int32),
            MODELS[absorber.electrons],
        )
        on_device: Tables = jax.device_put(tables)
        return on_device

    def of_lines(self, cells: Any) -> Any:
        """Figures (..., S T) of all transitions, out of those (..., cells) of the padded tables."""
        return padding.lines_of(np.asarray(self.lines).tolist(), cells)

    @property
    def line_energy(self) -> Float[np.ndarray, " lines"]:
        """Energies of all transitions in eV."""
        return np.asarray(self.of_lines(self.matter.relaxation.energy.reshape(-1)))

    def pick_channel(
        self, parameters: Parameters, material: Whole, energy: Real, u_row: Real, u_channel: Real
    ) -> tuple[Whole, Real]:
        """(code of what a photon of ``energy`` eV hits in ``material``, see `Attenuation`; weight of that choice)."""
        table = self.matter.attenuation
        row, fraction = table.place(energy)
        rows, channels = table.energy.shape[0], table.code.shape[1]
        at = material * rows + row
        drawn = jnp.where(u_row < parameters.fixed(fraction), at + 1, at)
        channel = jnp.where(
            u_channel < SCATTERED,
            self.scattering.pick(drawn, u_channel / SCATTERED),
            table.channels.pick(drawn, (u_channel - SCATTERED) / (1.0 - SCATTERED)),
        )
        analog, biased = (
            (1.0 - fraction) * law.probability(at, channel) + fraction * law.probability(at + 1, channel)
            for law in (table.channels, self.scattering)
        )
        mixed = (1.0 - SCATTERED) * analog + SCATTERED * biased
        return table.code.reshape(-1)[material * channels + channel], analog / parameters.fixed(mixed)

    def check_scales(self, parameters: Parameters) -> None:
        """Raises ValueError for a scale that is not positive, or that makes the yield of an open subshell exceed 1."""
        for name in ("yield_scale", "range_scale"):
            scale = float(getattr(parameters, name))
            if not (np.isfinite(scale) and scale > 0.0):
                raise ValueError(f"`{name}` must be positive and finite, but is {scale:g}")
        binding, own = np.asarray(self.matter.relaxation.binding), np.asarray(self.fluorescence)
        own = np.where((binding < float(np.asarray(parameters.energy).max())) & (own < CERTAIN), own, 0.0)
        largest = int(own.argmax())
        if float(parameters.yield_scale) * own[largest] > 1.0:
            raise ValueError(
                f"`yield_scale` must be at most {1.0 / own[largest]:.6g}, where the yield of the subshell bound by "
                f"{binding[largest]:.6g} eV is 1, but is {float(parameters.yield_scale):g}"
            )

    def yield_weight(self, subshell: Whole, photon: Flag, yield_scale: Real) -> Real:
        """Probability of a ``photon``, or of none, under scaled yields over that with which it was drawn."""
        own, drawn = self.fluorescence[subshell], self.drawn[subshell]
        mixed = (own > 0.0) & (own < CERTAIN)
        scaled = yield_scale * own
        ratio = jnp.where(photon, scaled, 1.0 - scaled) / jnp.where(mixed, jnp.where(photon, drawn, 1.0 - drawn), 1.0)
        return jnp.where(mixed, ratio, 1.0)


def differentiable(absorber: Absorber) -> tuple[Absorber, tuple[str, ...]]:
    """``absorber`` with photons that scatter as in the paper, and a sentence for each model that this replaces."""
    paper = PHYSICS["paper"]
    replaced = {"compton": NO_IMPULSE, "rayleigh": NO_RAYLEIGH}
    said = tuple(why for model, why in replaced.items() if getattr(absorber, model) != paper[model])
    return replace(absorber, **{model: paper[model] for model in replaced}), said
