"""The bar of a long run, where somebody watches a terminal."""

from threading import Timer

from tqdm import tqdm

PATIENCE = 2.0  # s, after which somebody who watches is told why nothing moves


class Bar(tqdm):
    """tqdm's bar, which says "compiling" until the first piece is done, if that takes more than two seconds."""

    def __init__(self, total: int, unit: str, shown: bool, initial: int = 0):
        """A bar of ``total`` of ``unit``, if it is to be shown and the standard error is a terminal."""
        super().__init__(total=total, initial=initial, unit=unit, unit_scale=True, disable=None if shown else True)
        self.patience = Timer(PATIENCE, self.set_description, ["compiling"])
        self.patience.daemon = True
        if not self.disable:
            self.patience.start()

    def update(self, n: float | None = 1) -> bool | None:
        """Count ``n`` more."""
        self.patience.cancel()
        if not self.disable and self.desc:
            self.set_description(None, refresh=False)
        return super().update(n)

    def close(self) -> None:
        """End the bar."""
        if hasattr(self, "patience"):
            self.patience.cancel()
        super().close()
