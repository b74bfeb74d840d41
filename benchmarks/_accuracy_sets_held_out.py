"""Sets of files on which nothing is fitted or scored before the last run: how each becomes features, labels, groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from _accuracy_sets_files import Source, Table, codes, copies, last_columns, read_r

YEARS = {2011: "train", 2012: "train", 2013: "val", 2014: "test", 2015: "test"}
TURBINE = ["AT", "AP", "AH", "AFDP", "GTEP", "TIT", "TAT", "TEY", "CDP", "CO", "NOX"]
PEOPLE = ["age", "gender", "education", "country", "ethnicity", "N", "E", "O", "A", "C", "impulsive", "sensation"]
DRUGS = [
    *["alcohol", "amphet", "amyl", "benzos", "caffeine", "cannabis", "chocolate", "coke", "crack", "ecstasy", "heroin"],
    *["ketamine", "legalh", "LSD", "meth", "mushrooms", "nicotine", "semer", "VSA"],
]
COMPLICATIONS = [
    *["FIBR_PREDS", "PREDS_TAH", "JELUD_TAH", "FIBR_JELUD", "A_V_BLOK", "OTEK_LANC", "RAZRIV", "DRESSLER", "ZSN"],
    *["REC_IM", "P_IM_STEN", "LET_IS"],
]
LEFT_OUT = [
    89,
    93,
    94,
    95,
    *range(100, 106),
]  # columns, counted from 1: one that 4 patients have, others known days later


def turbine(*paths: Path) -> Table:
    """What a gas turbine emits, hour by hour: fitted on three years, measured on the two after them."""
    years = [pd.read_csv(path, header=None, names=TURBINE) for path in paths]
    table = last_columns(pd.concat(years, ignore_index=True), 2, "regression")
    table.parts = np.repeat(list(YEARS.values()), [len(year) for year in years])
    table.groups = [(number, hour // 24) for number, year in enumerate(years) for hour in range(len(year))]  # some days
    return table


def frogs(path: Path) -> Table:
    """Family, genus and species of frogs by the sound of a syllable. Those of a recording stay together."""
    data = pd.read_csv(path)
    labels = data[["Family", "Genus", "Species"]].apply(codes)
    X = data.drop(columns=[*labels, "RecordID"])
    return Table(X, labels, dict.fromkeys(labels, "multiclass"), groups=data["RecordID"])


def care(path: Path) -> Table:
    """Visits to doctors and hospitals of the old, six counts, and how healthy they feel; counts as log1p."""
    data = read_r(path)
    counts = ["visits", "nvisits", "ovisits", "novisits", "emergency", "hospital"]
    labels = np.log1p(data[counts]).assign(health=codes(data["health"]))
    kinds = {**dict.fromkeys(counts, "regression"), "health": "multiclass"}
    return Table(data.drop(columns=list(kinds)), labels, kinds)


def school(path: Path) -> Table:
    """Marks in reading and maths of four years, half of them missing. Pupils of a school stay together."""
    data = read_r(path)
    grades = ["k", "1", "2", "3"]
    tasks = [f"{subject}{grade}" for subject in ("read", "math") for grade in grades]
    data = data.dropna(subset=tasks, how="all").reset_index(drop=True)
    ids = [f"{name}{grade}" for name in ("system", "schoolid") for grade in grades]
    first = data[ids[4:]].bfill(axis=1).iloc[:, 0]
    year, quarter = (data["birth"].str[place].astype(float) for place in (slice(0, 4), 6))
    X = data.drop(columns=[*tasks, *ids]).assign(birth=year + (quarter - 1) / 4)
    return Table(X, data[tasks], dict.fromkeys(tasks, "regression"), groups=first)


def crime(path: Path) -> Table:
    """Eight kinds of crime per head in communities of the United States, as log1p, from the census and the police."""
    data = pd.read_csv(path, na_values="?")
    names = ["communityname", "countyCode", "communityCode", "fold"]
    first = list(data).index("murders")  # from there on: crimes, and what is summed up or divided from them
    rates = [name for name in data.columns[first:] if name.endswith("PerPop") and "iol" not in name]
    return Table(data.iloc[:, :first].drop(columns=names), np.log1p(data[rates]), dict.fromkeys(rates, "regression"))


def drugs(path: Path) -> Table:
    """Which of 18 drugs a person took within a year, from what they are like; one that does not exist is left out."""
    data = pd.read_csv(path, header=None, names=["id", *PEOPLE, *DRUGS])
    labels = data[DRUGS].drop(columns="semer").isin(["CL3", "CL4", "CL5", "CL6"])
    X = data[PEOPLE].astype({"country": str, "ethnicity": str})
    return Table(X, labels, dict.fromkeys(labels, "binary"))


def infarction(path: Path) -> Table:
    """Ten complications of a heart attack, and whether the patient died, from what is known at admission.

    An eleventh, PREDS_TAH, is left out: 20 patients had it, none of them in one of the folds.
    """
    data = pd.read_csv(path, header=None, na_values="?")
    data.columns = [str(number) for number in range(1, 113)] + COMPLICATIONS
    labels = data[COMPLICATIONS].assign(LET_IS=data["LET_IS"] > 0).drop(columns="PREDS_TAH")
    X = data.drop(columns=["1", *COMPLICATIONS, *map(str, LEFT_OUT)])
    return Table(X, labels, dict.fromkeys(labels, "binary"))


def mice(path: Path) -> Table:
    """Genotype, treatment and training of mice from proteins of their brains. Samples of a mouse stay together."""
    data = pd.read_csv(path)
    second = {"Genotype": "Ts65Dn", "Treatment": "Memantine", "Behavior": "C/S"}
    labels = pd.DataFrame({task: data[task] == value for task, value in second.items()})
    X = data.drop(columns=["MouseID", "class", *second])
    return Table(X, labels, dict.fromkeys(second, "binary"), groups=data["MouseID"].str.rsplit("_").str[0])


def soybean(path: Path) -> Table:
    """Six traits of soybeans from the breed, the place and the year."""
    data = read_r(path).drop(columns="env").astype({"year": str})
    return last_columns(data, 6, "regression")


def residential(path: Path) -> Table:
    """Price and cost of buildings, from what is planned and five quarters of the economy before."""
    data = pd.read_csv(path, skiprows=1, lineterminator="\r")
    data["V-1"] = "district " + data["V-1"].astype(int).astype(str)
    return last_columns(data, 2, "regression")


def spectra(path: Path) -> Table:
    """Water, fat and protein of meat from 100 near-infrared absorbances. A tenth are copies: copies stay together."""
    table = last_columns(read_r(path), 3, "regression")
    table.groups = copies(table.X)
    return table


SOURCES: dict[str, Source] = {
    "turbine": Source(turbine, [f"turbine-{year}.csv" for year in YEARS]),
    "school": Source(school, ["school.csv"]),
    "frogs": Source(frogs, ["frogs.csv"], {"n_folds": 5}),
    "care": Source(care, ["care.csv"]),
    "crime": Source(crime, ["crime.csv"]),
    "drugs": Source(drugs, ["drugs.csv"]),
    "infarction": Source(infarction, ["infarction.csv"], {"n_folds": 5}),
    "mice": Source(mice, ["mice.csv"], {"n_folds": 5}),
    "soybean": Source(soybean, ["soybean.csv"], {"n_folds": 5}),
    "residential": Source(residential, ["residential.csv"], {"n_folds": 5}),
    "spectra": Source(spectra, ["spectra.csv"], {"n_folds": 10}),
}
