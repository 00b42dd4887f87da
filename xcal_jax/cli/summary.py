"""A summary on the screen: lines for people, or one JSON object for programs."""

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import click

from xcal_jax.cli.options import say


def show(values: dict, as_json: bool, report: Callable[[dict], Iterable[str]] | None = None) -> None:
    """Print ``values``: the lines of ``report``, or a line a value; or one JSON object, null for what is not finite."""
    if as_json:
        click.echo(json.dumps(_plain(values)))
    elif report:
        say("\n".join(report(values)))
    else:
        for key, value in values.items():
            say(f"{key}: {value:.6g}" if isinstance(value, float) else f"{key}: {value}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
