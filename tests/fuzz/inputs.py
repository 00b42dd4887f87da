"""A folder with one small good file of every kind, from which bad ones are made."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from xcal_jax import Absorber
from xcal_jax.io.datasets import save
from xcal_jax.montecarlo.tally import Tally
from xcal_jax.simulation.counting import Prepared, Run
from xcal_jax.simulation.results import to_dataset
from xcal_jax.sipm.mission import load_mission, mission_files
from xcal_jax.sipm.synthetic import synthesize
from xcal_jax.spectra.writers import write_csv, write_pha

ABSORBER = """name = "mine"
width = "100 um"
length = "100 um"
electrons = "range"
rayleigh = false
[[layers]]
material = "Bi"
thickness = "1 um"
density = 9.78
[array]
rows = 3
columns = 3
pitch = ["120 um", "120 um"]
"""
SWEEP = """absorber = "xifu"
n = 1000
seed = 3
bin = "1 eV"
yields = "eadl"
angle = "10 deg"
[grid]
energy = ["3 keV", "7 keV"]
at = [["0 um", "0 um"], ["134.7 um", "134.7 um"]]
electrons = ["range"]
layers.1.thickness = ["2 um", "5.15 um"]
layers.1.density = [9.0]
"""
DESIGN = """name = "slab"
width = "100 um"
length = "100 um"
temperature = "90 mK"
[[layers]]
material = ["Bi", "Au"]
thickness = ["0.5 um", "20 um"]
[minimise]
observable = "heat_capacity"
[[constraints]]
observable = "interaction_probability"
energy = ["7 keV"]
at_least = 0.9
[specific_heat.Bi]
electron = 1e-3
lattice = 1e-3
[front]
constraint = 0
values = [0.8, 0.95]
"""
UNCERTAINTIES = '"thickness[1]" = "100 nm"\ndensity = "2 %"\nyield = 0.1\n'
TLE = """GRBALPHA
1 47959U 21022AD  21136.80882950  .00001202  00000-0  87027-4 0  9997
2 47959  97.5614  39.6019 0023282  60.8418 299.5182 15.05651497  7118
"""
OMM = (
    "OBJECT_NAME,OBJECT_ID,EPOCH,MEAN_MOTION,ECCENTRICITY,INCLINATION,RA_OF_ASC_NODE,ARG_OF_PERICENTER,MEAN_ANOMALY,"
    "EPHEMERIS_TYPE,CLASSIFICATION_TYPE,NORAD_CAT_ID,ELEMENT_SET_NO,REV_AT_EPOCH,BSTAR,MEAN_MOTION_DOT,MEAN_MOTION_DDOT\n"
    "GRBALPHA,2021-022AD,2021-05-16T19:24:42.869,15.05651497,.0023282,97.5614,39.6019,60.8418,299.5182,"
    "0,U,47959,999,711,.87027E-4,.1202E-4,0\n"
)
ALTITUDES = "date,altitude_km,inclination_deg\n2021-03-22,550,97.5\n2021-05-16,545,97.5\n2021-09-03,540,97.5\n"
N42 = """<?xml version="1.0"?><RadInstrumentData xmlns="http://physics.nist.gov/N42/2011/N42">
<EnergyCalibration id="c"><CoefficientValues>0 3 0</CoefficientValues></EnergyCalibration>
<RadMeasurement id="m"><MeasurementClassCode>Foreground</MeasurementClassCode>
<StartDateTime>2021-01-01T00:00:00Z</StartDateTime>
<Spectrum id="s"><LiveTimeDuration>PT60S</LiveTimeDuration>
<ChannelData compressionCode="CountedZeroes">0 3 5 6 7 0 2 1</ChannelData></Spectrum></RadMeasurement>
</RadInstrumentData>
"""
RADIACODE = """<ResultDataFile><ResultDataList><ResultData><StartTime>2021-01-01T00:00:00</StartTime><EnergySpectrum>
<NumberOfChannels>4</NumberOfChannels><MeasurementTime>60</MeasurementTime>
<Spectrum><DataPoint>1</DataPoint><DataPoint>2</DataPoint><DataPoint>3</DataPoint><DataPoint>4</DataPoint></Spectrum>
</EnergySpectrum></ResultData></ResultDataList></ResultDataFile>
"""
SPE = "$SPEC_ID:\nx\n$DATE_MEA:\n01/01/2021 00:00:00\n$MEAS_TIM:\n60 61\n$DATA:\n0 3\n1\n2\n3\n4\n$ENDRECORD:\n"


def make(folder: Path) -> None:
    """Write the files."""
    texts = {
        "absorber.toml": ABSORBER,
        "sweep.toml": SWEEP,
        "design.toml": DESIGN,
        "uncertainties.toml": UNCERTAINTIES,
        "mission.toml": mission_files()["vzlusat2"].read_text(encoding="utf-8"),
        "small.toml": mission_files()["grbalpha"]
        .read_text(encoding="utf-8")
        .replace("campaigns = 116", "campaigns = 3"),
        "orbit.tle": TLE,
        "omm.csv": OMM,
        "altitudes.csv": ALTITUDES,
        "photons.txt": "# eV, photons\n1000 1\n7000 2\n9000 1\n",
        "fwhm.txt": "200 2.5\n12000 3\n",
        "line.csv": "low_ev,high_ev,counts\n" + "".join(f"{e},{e + 5},{e % 7}\n" for e in range(6000, 7010, 5)),
        "series.csv": "utc,kp\n2021-08-01,3\n2022-08-01,2\n2023-08-01,1\n",
        "fluxes.csv": "particle,energy_MeV,flux\nproton,1,10\nproton,300,0.1\nelectron,0.1,1e4\nelectron,5,1\n",
        "fluence.csv": "days,fluence\n0,0\n500,1e8\n1400,3e8\n",
        "a.n42": N42,
        "a.xml": RADIACODE,
        "a.spe": SPE,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    drawn = synthesize(load_mission(folder / "small.toml"))
    for name in ("spectra", "template", "ground"):
        save(getattr(drawn, name), folder / f"{name}.nc")
    write_csv(drawn.template, folder / "template.csv")
    write_pha(folder / "a.pha", np.arange(1, 9), 1, 60.0, "a.rmf")
    prepared = Prepared.build(Run.build(Absorber.preset("xifu"), 7000.0))
    lines = prepared.matter.relaxation.energy
    tally = Tally.empty(prepared.run.bins, 1, int(np.size(lines)), thresholds=len(prepared.run.loss_above))
    arrays = {name: np.asarray(array).astype(np.int64) for name, array in tally.arrays().items()}
    arrays["spectrum"][6999], arrays["spectrum"][1000:6000:7] = 900, 1
    arrays["interacting"] = arrays["spectrum"].sum()
    arrays["electron_escape"] = arrays["interacting"] - 900
    save(to_dataset(prepared, Tally.from_arrays(arrays), photons=2000, asked=2000), folder / "result.nc")
    columns = {"TIME": ("D", "s"), "ENERGY": ("E", "keV"), "PH_ID": ("J", None), "PIXID": ("J", None)}
    columns |= {"U": ("D", "m"), "V": ("D", "m")}
    made = [fits.Column(name, form, unit, array=np.ones(3)) for name, (form, unit) in columns.items()]
    fits.BinTableHDU.from_columns(made, name="PIXELIMPACT").writeto(folder / "impacts.fits")
