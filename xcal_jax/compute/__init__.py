"""Devices, processes, random numbers by identity, and masked lanes."""
