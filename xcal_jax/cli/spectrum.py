"""``xcal-jax spectrum`` and ``fake``: PHA files from events of this program, and from models."""

import click

from xcal_jax.cli import options

rmf = click.option("--rmf", required=True, help="The matrix whose channels the spectrum has.")
arf = click.option("--arf", help="The effective area that belongs to it.")


@options.command("xcal-jax spectrum events.fits --rmf xifu.rmf --exposure 100ks -o spectrum.pha")
@click.argument("events")
@rmf
@arf
@click.option("--exposure", type=options.quantity("s", above=0.0), help="Such as 100ks; default: a second a photon.")
@options.fwhm
@options.fwhm_file
@options.trapping
@options.seed
@options.cards
@options.output("Spectrum, PHA of type I.")
def spectrum(events, rmf, arf, exposure, fwhm, fwhm_file, trapping, seed, cards, output):
    """Spectrum of EVENTS, a list of `simulate --events`, with the resolution and the channels of a matrix.

    A list that was made with `--rmf` keeps its PI. Others are broadened with the FWHM of the matrix, or with --fwhm.
    """
    from xcal_jax.io.fits_files import parse_cards
    from xcal_jax.response.measurement import Measurement
    from xcal_jax.response.pha import spectrum_of_events

    more = parse_cards(cards)
    measurement = Measurement.build(rmf, fwhm, fwhm_file, trapping, seed)
    done = spectrum_of_events(events, measurement, output, arf, exposure, more)
    options.say(f"{done.counts} counts in {done.exposure:g} s; {done.outside} events outside the channels", err=True)


@options.command("xcal-jax fake model.txt --rmf xifu.rmf --arf xifu.arf --exposure 100ks -o spectrum.pha")
@click.argument("model")
@rmf
@arf
@click.option("--exposure", type=options.quantity("s", above=0.0), required=True, help="Such as 100ks.")
@options.seed
@options.cards
@options.output("Spectrum, PHA of type I.")
def fake(model, rmf, arf, exposure, seed, cards, output):
    """Spectrum with Poisson noise of MODEL, seen through a matrix and an effective area.

    MODEL: two columns of text (eV, photons per cm2, s and eV), XSPEC's .qdp of a model, or a SIMPUT file.
    """
    import numpy as np

    from xcal_jax.io.fits_files import parse_cards
    from xcal_jax.response.model_spectrum import expected_counts, read_model
    from xcal_jax.response.ogip_reader import CARDS, read_matrix
    from xcal_jax.spectra.writers import write_pha

    layout, matrices = read_matrix(rmf)
    expected = expected_counts(read_model(model), matrices, arf, exposure)
    counts = np.random.default_rng(seed).poisson(expected)
    known = {name: layout.cards[name] for name in CARDS if name in layout.cards} | parse_cards(cards)
    write_pha(output, counts, layout.first, exposure, rmf, arf, known, (f"Model {model}, seed {seed}.",))
    options.say(f"{counts.sum()} counts in {exposure:g} s", err=True)
