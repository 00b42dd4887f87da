"""The tables of the Monte Carlo, and a cascade richer in photons.

Fluorescence is rare (Bi M5: 4 %), so cascades are drawn with up to `RICHER` times the yields, at most `MOST`, and
weighted back. A scale on the yields is then one more factor of the weight. Scattering is rare too: `SCATTERED` of the
interactions are drawn from it alone.
"""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from xcal_jax.absorber.absorber import Absorber
from xcal_jax.absorber.matter import Matter
from xcal_jax.expected.parameters import Parameters
from xcal_jax.physics.discrete import Discrete
from xcal_jax.physics.electrons.scattering import Scattering

RICHER, MOST = 8.0, 0.5
SCATTERED = 0.05
CERTAIN = 1.0 - 1e-9  # a yield that is 1


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Tables:
    """Of an absorber's materials, for any thicknesses; C channels, S subshells, T transitions, as in `Matter`.

    channel_share: (M R, C), probability of each channel at each energy row; scattered_share: (M R,) of those that
    scatter; scattering: rows M R, outcomes C: given that it scatters. cascade: rows S, outcomes T: the
    transitions as drawn. fluorescence, drawn: (S,) probability of a photon by EADL, and as drawn.
    uniform: whether the impact is spread over the top.
    """

    matter: Matter
    channel_share: Array
    scattered_share: Array
    scattering: Discrete
    cascade: Discrete
    fluorescence: Array
    drawn: Array
    uniform: bool = field(metadata={"static": True})

    @classmethod
    def build(cls, absorber: Absorber, uniform: bool = True, yields: str = "eadl") -> "Tables":
        """Of ``absorber``; yields: "eadl" or "krause". Raises ValueError for an array."""
        absorber.check_alone("a derivative")
        matter = Matter.build(absorber, yields)
        free = np.asarray(matter.relaxation.analog.probabilities)
        radiative = np.asarray(matter.relaxation.radiative)
        decays = np.asarray(matter.relaxation.decays)
        fluorescence = np.where(decays, np.sum(free * radiative, axis=1), 0.0)
        mixed = (fluorescence > 0.0) & (fluorescence < CERTAIN)
        drawn = np.where(mixed, np.maximum(fluorescence, np.minimum(RICHER * fluorescence, MOST)), fluorescence)
        share = np.asarray(matter.attenuation.channels.probabilities)
        rows = matter.attenuation.energy.shape[0]
        scattering = share * np.repeat(np.asarray(matter.attenuation.code) >= free.shape[0], rows, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.where(radiative, (drawn / fluorescence)[:, None], ((1 - drawn) / (1 - fluorescence))[:, None])
        return cls(
            matter,
            jnp.asarray(share),
            jnp.asarray(scattering.sum(axis=1)),
            Discrete.build(scattering),
            Discrete.build(np.where(mixed[:, None], free * np.nan_to_num(scale), free)),
            jnp.asarray(fluorescence),
            jnp.asarray(drawn),
            uniform,
        )

    def pick_channel(self, parameters: Parameters, material: Array, energy: Array, u_row: Array, u_channel: Array):
        """(what a photon of ``energy`` () eV hits, a code of `Attenuation`; the weight () of that choice)."""
        table = self.matter.attenuation
        row, share = table.place(energy)
        rows, channels = table.energy.shape[0], table.code.shape[1]
        at = material * rows + row
        drawn = jnp.where(u_row < parameters.fixed(share), at + 1, at)
        scatters = u_channel < SCATTERED
        freely = table.channels.pick(drawn, (u_channel - SCATTERED) / (1.0 - SCATTERED))
        channel = jnp.where(scatters, self.scattering.pick(drawn, u_channel / SCATTERED), freely)
        code = table.code.reshape(-1)[material * channels + channel]

        cells, ends = self.channel_share.reshape(-1), ((at, 1.0 - share), (at + 1, share))
        chance = sum(part * cells[r * channels + channel] for r, part in ends)
        scattered = code >= self.fluorescence.shape[0]
        mixed = jnp.zeros_like(share)
        for r, part in ends:
            own = cells[r * channels + channel]
            alone = jnp.where(scattered, own / self.scattered_share[r], 0.0)
            mixed = mixed + part * ((1.0 - SCATTERED) * own + SCATTERED * alone)
        return code, chance / parameters.fixed(mixed)

    @property
    def turning(self) -> bool:
        """Whether electrons turn round: `absorber.electrons.scattering`."""
        return isinstance(self.matter.electrons, Scattering)

    def electron_cost(self, parameters: Parameters) -> list[Array]:
        """Range, in the electrons' measure, that a um of track uses up, () for each layer."""
        cost = self.matter.electrons.per_um(parameters.density)
        return [cost[n] for n in range(cost.shape[0])]

    def check_scales(self, parameters: Parameters) -> None:
        """Raises ValueError for a scale that is not positive, or that makes the yield of an open subshell exceed 1."""
        for name in ("yield_scale", "range_scale"):
            scale = float(getattr(parameters, name))
            if not (np.isfinite(scale) and scale > 0.0):
                raise ValueError(f"`{name}` must be positive and finite, but is {scale:g}")
        binding, own = np.asarray(self.matter.relaxation.binding), np.asarray(self.fluorescence)
        own = np.where((binding < float(parameters.energy)) & (own < CERTAIN), own, 0.0)
        largest = int(own.argmax())
        if float(parameters.yield_scale) * own[largest] > 1.0:
            raise ValueError(
                f"`yield_scale` must be at most {1.0 / own[largest]:.6g}, where the yield of the subshell bound by "
                f"{binding[largest]:.6g} eV is 1, but is {float(parameters.yield_scale):g}"
            )

    def yield_weight(self, subshell: Array, photon: Array, yield_scale: Array) -> Array:
        """Probability () of a photon, or of none, under scaled yields over that with which it was drawn."""
        own, drawn = self.fluorescence[subshell], self.drawn[subshell]
        mixed = (own > 0.0) & (own < CERTAIN)
        scaled = yield_scale * own
        ratio = jnp.where(photon, scaled, 1.0 - scaled) / jnp.where(mixed, jnp.where(photon, drawn, 1.0 - drawn), 1.0)
        return jnp.where(mixed, ratio, 1.0)
