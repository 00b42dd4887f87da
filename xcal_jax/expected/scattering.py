"""Scattering electrons in weighted histories: escape is sampled (0 or 1), not replaced by its probability.

See `electrons.ElectronModel` for what each function is. Electrons are followed as the Monte Carlo follows them
(`montecarlo.electron_tracks`). Their tracks have no derivative. They need none, since sites move with the parameters
(`site_mapping`), except in the energy of the incident photons. That changes one electron of a history: the
photoelectron of the incident photon, whether it was scattered before or not. Of its energy T it takes out the fraction
s(T), for a given track. For any function F of the loss T s,

    d <F(T s)> / dT = < s F'(T s) > + [ <F(T s(T (1 + h)))> - <F(T s(T (1 - h)))> ] / (2 h T)

A history is therefore followed three times, with the same random numbers, with the energy of that electron T, T (1 + h)
and T (1 - h), and losses scaled back to T; h = 0.3. A range is about a power of T, of which so wide a difference is
0.3 % off. Of the electrons that escape from four layers at 7 keV, h = 0.15, 0.5 and 0.7 change the derivative by 2.4
(1.2), -0.6 (0.8) and -3.1 (1.0) %, with errors of these differences in brackets.

The first term is exact for a mean or a mean square. For a loss above a threshold a, F(x) = 1 where x > a, F' is a delta
function at a, and the first term the density of losses there. Its mean over a (1 - `BAND`) .. a (1 + `BAND`) stands for
it (`score.exceeds`), half of it where a is all the energy of an electron.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from xcal_jax.absorber.matter import Matter
from xcal_jax.compute.lanes import choose
from xcal_jax.compute.random import Key
from xcal_jax.expected import site_mapping
from xcal_jax.expected.parameters import Parameters, names
from xcal_jax.expected.random_numbers import StepNumbers, track_key
from xcal_jax.expected.score import BAND, Levels, Sums, exceeds
from xcal_jax.expected.site_mapping import moved_absorption as absorbed
from xcal_jax.expected.site_mapping import moved_first_site as first_site
from xcal_jax.expected.state import Emission, History
from xcal_jax.montecarlo.electron_tracks import Electron
from xcal_jax.montecarlo.electron_tracks import follow as follow_tracks
from xcal_jax.montecarlo.ledger import Shares
from xcal_jax.montecarlo.tally import PARTIAL
from xcal_jax.physics.electrons.scattering import HIGHEST, Scattering
from xcal_jax.physics.geometry import Direction, Site, deflect, isotropic, margin_to_surface
from xcal_jax.physics.photoelectric import sauter_density

__all__ = ["absorbed", "check", "copies", "emit", "first_site", "follow", "guard", "nobody", "with_slope"]

RAISED = (0.0, 0.3, -0.3)  # relative changes of the photoelectron's energy: 0, h, -h
HIGHEST_RAISED = HIGHEST / (1.0 + max(RAISED))  # eV; within the electrons' tables when raised
TINY = 1e-30
SIGNAL = 0  # the account of the layers that count


def wrong(matter: Matter, parameters: Parameters) -> Parameters:
    """The parameters in which a derivative would be wrong: leaves of bool."""
    return replace(site_mapping.inexact(matter, parameters), energy=parameters.energy > HIGHEST_RAISED)


def check(matter: Matter, parameters: Parameters, asked: Sequence[str]) -> None:
    """Raises ValueError if a derivative with respect to a parameter ``asked`` by name would be wrong."""
    bad = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(wrong(matter, parameters))])
    known = dict(zip(names(parameters), bad.tolist(), strict=True))
    refused = [name for name in asked if known[name]]
    if refused:
        far = ", ".join(f"{r:.3g}" for r in site_mapping.reach(matter, parameters))
        right = ", ".join(name for name, other in known.items() if not other)
        raise ValueError(
            f"derivatives with respect to {', '.join(refused)} would be wrong with `scattering` electrons, which reach "
            f"{far} um in the layers (a layer must be twice as thick, the sides must be farther away, the energy at "
            f"most {HIGHEST_RAISED:.6g} eV): ask for {right}, and take differences of values for the others "
            "('Thin layers with scattering electrons' in the guide on derivatives)"
        )


def guard(matter: Matter, parameters: Parameters, in_energy: bool) -> Parameters:
    """``parameters``, whose derivatives are NaN where they would be wrong, and those in energy unless ``in_energy``."""
    bad = wrong(matter, parameters.frozen)
    return jax.tree.map(_guarded, parameters, replace(bad, energy=bad.energy | (not in_energy)))


@jax.custom_jvp
def _guarded(value: Array, bad: Array) -> Array:
    return value


@_guarded.defjvp
def _guard(primals, tangents):
    value, bad = primals
    return value, jnp.where(bad & (tangents[0] != 0.0), jnp.nan, tangents[0])


def copies(in_energy: bool) -> tuple[float, ...]:
    """The relative changes of the photoelectron's energy for the derivative in energy; empty without it."""
    return RAISED if in_energy else ()


def nobody(site: Site) -> Electron:
    """No electron at ``site``."""
    zero = jnp.zeros_like(site.depth)
    return Electron(_narrow(site), Direction(zero, zero, zero - 1.0), zero)


def _narrow(site: Site) -> Site:
    """``site`` with its layer in the Monte Carlo's own integers, in double precision too."""
    return replace(site, layer=site.layer.astype(jnp.int32))


def emit(
    matter: Matter, parameters: Parameters, thresholds: Levels, emission: Emission, u: StepNumbers, history: History
) -> History:
    """The history in which the electron waits to be followed, if it may reach a face.

    A photoelectron follows Sauter's law about the direction of its photon, which moves with the sites: the weight has
    the derivative of its density at the direction drawn.
    """
    frozen = parameters.frozen
    model = matter.electrons
    site, energy, photon = jax.tree.map(parameters.fixed, (emission.site, emission.energy, emission.photon))
    varied = history.varied
    if varied is not None:
        raised = jnp.where(emission.varies, 1.0 + varied.raised, 1.0)
        lever = jnp.where(emission.varies, emission.energy / jnp.maximum(energy, TINY) - 1.0, 0.0)
        varied = varied._replace(lever=varied.lever + lever, scale=(1.0 + lever) / raised)
        energy = energy * raised
    u_polar, u_azimuth = u.electron
    law = jnp.zeros_like(history.count)
    directed = deflect(photon, matter.angles.sample_cosine(law, energy, u_polar), u_azimuth)
    way = choose(emission.sauter, directed, isotropic(u_polar, u_azimuth))
    margin = margin_to_surface(frozen.stack, site, model.per_um(frozen.density))
    near = emission.present & (frozen.range_scale * model.maximum_range(energy) > margin)
    now = emission.photon
    density = sauter_density(energy, now.x * way.x + now.y * way.y + now.z * way.z)
    ratio = density / parameters.fixed(density)
    return replace(
        history,
        weight=history.weight * jnp.where(near & emission.sauter, ratio, 1.0),
        electron=Electron(_narrow(site), way, jnp.where(near, energy, 0.0)),
        varied=varied,
    )


def follow(matter: Matter, parameters: Parameters, thresholds: Levels, keys: Key, histories: History) -> History:
    """The n ``histories`` after the electrons that wait have been followed to their ends."""
    frozen, waiting = parameters.frozen, cast(Electron, histories.electron)
    keys = jax.vmap(track_key)(keys, histories.steps)
    electrons = jax.tree.map(parameters.fixed, waiting)
    density = frozen.density / frozen.range_scale
    escaped, shares = follow_tracks(cast(Scattering, matter.electrons), frozen.stack, density, keys, electrons)
    if shares is not None:
        escaped = net_loss(shares, escaped)

    def book(history: History, electron: Electron, lost: Array) -> History:
        if history.varied is not None:
            lost = lost * history.varied.scale
        levels = history.outside.levels(thresholds)
        probability = exceeds(parameters, lost, levels - history.drawn, BAND * jnp.abs(levels))
        booked = history.with_electron(probability, lost, lost * lost, lost)
        return replace(booked, electron=electron._replace(energy=jnp.zeros_like(lost)))

    return jax.vmap(book)(histories, waiting, escaped)


def net_loss(shares: Shares, escaped: Float[Array, " n"]) -> Float[Array, " n"]:
    """Energies in eV that n electrons take out of the layers that count, negative if they bring energy there.

    escaped: eV that they take out of the absorber; shares: theirs, in other accounts than that where each began.
    """
    beside = jnp.sum(jnp.where(shares.account == SIGNAL, 0.0, shares.energy), axis=1)
    brought = jnp.sum(jnp.where(shares.account == SIGNAL, shares.energy, 0.0), axis=1)
    lost = jnp.where(shares.home == SIGNAL, escaped + beside, -brought)
    return jnp.where(jnp.abs(lost) > PARTIAL, lost, 0.0)


def with_slope(sums: Sums, histories: History) -> Sums:
    """The sums (n, ...) of n histories as they are, with the slope in energy of their three copies.

    sums: (3 n, ...), of the copies in the order of `RAISED`; as they are, where there are no copies.
    """
    if histories.varied is None:
        return sums
    lever = jnp.split(histories.varied.lever, len(RAISED))[0]

    def one(leaf: Array) -> Array:
        own, up, down = jnp.split(leaf, len(RAISED))
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return own
        return own + jnp.reshape(lever, (-1, *(1,) * (leaf.ndim - 1))) * (up - down) / (RAISED[1] - RAISED[2])

    return jax.tree.map(one, sums)
