"""ASCII SPE files (IAEA, ORTEC): keywords that start with $, each with lines below it.

No kept library reads all that is written under this name: becquerel refuses files without a date, or whose first
channel is not 0. MEAS_TIM has live time and real time. DATA begins with the numbers of the first and last channel, in
which the channels are counted from 0. MCA_CAL, or else ENER_FIT, has the energy as a polynomial in these numbers.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from xcal_jax.spectra.dataset import build_spectra, polynomial_energy
from xcal_jax.spectra.times import UNKNOWN, utc_of_date
from xcal_jax.units import words_as_numbers

MOST_CHANNELS = 2**24


def read_spe(path: Path) -> xr.Dataset:
    """The spectrum of an ASCII SPE file, with its live time as exposure.

    Raises ValueError where DATA or MEAS_TIM are missing or no numbers, or the channels are not as many as stated.
    """
    blocks = blocks_of(path.read_bytes())
    for name in ("MEAS_TIM", "DATA"):
        if not blocks.get(name):
            raise ValueError(f"an SPE file must have ${name}:, but it is missing or empty")
    live, *real = numbers(blocks["MEAS_TIM"][:1], "MEAS_TIM", decimal_comma=True)
    ends = numbers(blocks["DATA"][:1], "DATA")
    if len(ends) != 2 or not 0 <= ends[0] <= ends[1] < MOST_CHANNELS:
        raise ValueError(f"$DATA: must begin with the first and the last channel, but begins with {ends}")
    counts = numbers(blocks["DATA"][1:], "DATA")
    first, expected = int(ends[0]), int(ends[1] - ends[0]) + 1
    if len(counts) != expected:
        raise ValueError(f"$DATA: must have {expected} channels, {first} to {int(ends[1])}, but has {len(counts)}")
    start = utc_of_date(" ".join(blocks["DATE_MEA"][:1])) if blocks.get("DATE_MEA") else UNKNOWN
    return build_spectra(
        counts,
        live,
        start,
        real_time=real[0] if real and real[0] > 0 else np.nan,
        first_channel=first + 1,
        device_energy=device_energy(blocks, first, expected),
        source=path.name,
    )


def blocks_of(data: bytes) -> dict[str, list[str]]:
    """Lines below each keyword, without empty ones. Text that is not UTF-8 is Latin-1."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    blocks: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.lstrip().startswith("$"):
            name = line.strip().lstrip("$").rstrip(":").strip().upper()
            blocks.setdefault(name, [])
        elif name and line.strip():
            blocks[name].append(line.strip())
    return blocks


def numbers(lines: list[str], name: str, decimal_comma: bool = False) -> list[float]:
    """All numbers of ``lines``. Raises ValueError, naming the keyword, for a word that is none."""
    words = " ".join(lines).split()
    return words_as_numbers((word.replace(",", ".") if decimal_comma else word for word in words), f"${name}:")


def device_energy(blocks: dict[str, list[str]], first: int, channels: int) -> np.ndarray | None:
    """Energies (channels,), keV, of the device's own calibration; None where it has none or all of it is zero."""
    for name, skip in (("MCA_CAL", 1), ("ENER_FIT", 0)):
        words = " ".join(blocks.get(name, [])[skip:]).split()
        unit = words.pop() if words and words[-1].isalpha() else "keV"
        coefficients = numbers([" ".join(words)], name)
        if any(coefficients[1:]):
            scale = {"ev": 1e-3, "kev": 1.0, "mev": 1e3}.get(unit.lower())
            if scale is None:
                raise ValueError(f"${name}: must be in eV, keV or MeV, but is in {unit}")
            return scale * polynomial_energy(coefficients, first, channels)
    return None
