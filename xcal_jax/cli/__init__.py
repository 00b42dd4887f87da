"""The ``xcal-jax`` command: one file a family of subcommands, nothing but words and calls."""
