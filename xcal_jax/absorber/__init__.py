"""The absorber Monte Carlo."""
