"""The laws of one photon and one electron: no batch, no file."""
