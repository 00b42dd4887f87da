"""Results and the files that users open."""
