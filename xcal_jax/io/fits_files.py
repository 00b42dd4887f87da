"""FITS files whole or not at all, with date, origin and checksums; the instrument's names, which the user may give."""

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from xcal_jax.constants import VERSION
from xcal_jax.io.files import replacing
from xcal_jax.units import shown

if TYPE_CHECKING:
    from astropy.io import fits

    from xcal_jax.io.fits_ragged import Ragged

NAMES = {"TELESCOP": "NONE", "INSTRUME": "NONE", "DETNAM": "NONE", "FILTER": "NONE", "ORIGIN": "xcal_jax"}
"""Cards that the user may set, and what they are otherwise."""


def write_fits(path: str | os.PathLike[str], *tables: "fits.BinTableHDU | Ragged") -> None:
    """Write ``tables`` after an empty primary, each with DATE, CREATOR, CHECKSUM and DATASUM.

    A file at ``path`` is replaced. Raises ValueError when the folder is missing.
    """
    from astropy.io import fits

    from xcal_jax.io.fits_ragged import Ragged

    primary = fits.PrimaryHDU()
    now = date()
    for unit in (primary, *tables):
        unit.header["DATE"] = (now, "when this was written, UTC")
        unit.header["CREATOR"] = f"xcal_jax {VERSION}"
    with replacing(path) as temporary:
        primary.writeto(temporary, overwrite=True, output_verify="exception")
        for table in tables:
            if isinstance(table, Ragged):
                table.append_to(temporary)
            else:
                with fits.open(temporary, mode="append") as file:
                    file.append(table)
        with fits.open(temporary, mode="update") as file:
            for unit in file:
                unit.add_checksum(when=now)


def date() -> str:
    """The time, UTC, to the second; that of SOURCE_DATE_EPOCH (s) where it is set, so that files can be made again."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.fromtimestamp(int(fixed), UTC) if fixed else datetime.now(UTC)
    return now.strftime("%Y-%m-%dT%H:%M:%S")


def parse_cards(texts: tuple[str, ...]) -> dict[str, str]:
    """Cards of the header from ``texts`` such as "TELESCOP=ATHENA". Raises ValueError for other names or text."""
    cards = {}
    for text in texts:
        name, given, value = (part.strip() for part in text.partition("="))
        if not given or name.upper() not in NAMES:
            raise ValueError(f"`card` must be NAME=VALUE with one of {', '.join(NAMES)}, but is {shown(text)}")
        if not value or not value.isascii() or not value.isprintable() or len(value) > 60:
            raise ValueError(f"`card` {name.upper()} must be 1 to 60 ASCII characters, but is {shown(value)}")
        cards[name.upper()] = value
    return cards
