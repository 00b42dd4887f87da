"""``python -m xcal_jax`` is the ``xcal-jax`` command."""

from xcal_jax.cli.main import main

if __name__ == "__main__":
    main()
