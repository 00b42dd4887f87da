"""A summary on the screen: lines for people, or one JSON object for programs."""

import json
import math

import click


def show(values: dict, as_json: bool) -> None:
    """Print ``values`` as lines, or as one JSON object in which what is not finite is null."""

    def plain(value):
        if isinstance(value, dict):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return value

    if as_json:
        click.echo(json.dumps(plain(values)))
        return
    for key, value in values.items():
        click.echo(f"{key}: {value:.6g}" if isinstance(value, float) else f"{key}: {value}")
