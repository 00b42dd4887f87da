"""``xcal-jax sipm``: synthetic missions, thresholds, lines, and the report of SiPM ageing."""

import click

from xcal_jax.cli.sipm_missions import report, synthesize
from xcal_jax.cli.sipm_spectra import lines, threshold


@click.group()
def sipm() -> None:
    """SiPM ageing in orbit: threshold, gain, dark counts, trends."""


for command in (synthesize, threshold, lines, report):
    sipm.add_command(command)
