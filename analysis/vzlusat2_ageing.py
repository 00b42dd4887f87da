"""VZLUSAT-2's SiPM ageing from end to end, with the step of September 2023:
`python analysis/vzlusat2_ageing.py [DIR] [-o OUT]`.

As `grbalpha_ageing.py`: without DIR a SYNTHETIC VZLUSAT-2-like mission is drawn. Its step is put on day 610
with a size that is chosen, for the paper's is lost.
"""

from grbalpha_ageing import study

if __name__ == "__main__":
    study("vzlusat2")
