"""Files of every kind the project reads and writes: whole or not at all."""
