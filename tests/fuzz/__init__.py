"""Systematic bad input: cases made from what the program declares itself (click, the schemas, signatures)."""
