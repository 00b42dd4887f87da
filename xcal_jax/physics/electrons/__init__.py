"""Two electron models with one interface: how much of an electron's energy leaves the absorber.

`Straight` and `Scattering` have `per_um` and `maximum_range` (whether an electron may reach a face at all),
`escaping_energy` (what leaves at once), `waiting_slots` (how many electrons of an ion have to be followed to know),
`negligible_fraction` (of those electrons) and `stretched`.
"""
