"""The analog Monte Carlo: photons fly, interact and relax until all their energy is booked."""
