"""Sets of files that changes were tuned on, by their validation rows: how each becomes features, labels and groups."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from _accuracy_sets_files import Source, Table, copies, last_columns, read_arff, read_r

from sklearn_mmoe.datasets import load_flights

FLIGHTS = 20_000


def voices(path: Path) -> Table:
    """Two scores of Parkinson's disease from recordings at home.

    Rows of a patient are in all parts, as in the published figures: a model learns who speaks, and when.
    """
    data = pd.read_csv(path).drop(columns="subject#")
    tasks = ["motor_UPDRS", "total_UPDRS"]
    return Table(data.drop(columns=tasks), data[tasks], dict.fromkeys(tasks, "regression"))


def weather(path: Path) -> Table:
    """The next day's extremes at 25 stations of Seoul, from today's and a numerical forecast. A day stays together."""
    tasks = ["Next_Tmax", "Next_Tmin"]
    data = pd.read_csv(path, parse_dates=["Date"])
    data = data.dropna(subset=["Date", "station"]).dropna(subset=tasks, how="all").reset_index(drop=True)
    date = data["Date"].dt
    X = data.drop(columns=["Date", *tasks]).assign(year=date.year, day=date.day_of_year)
    X["station"] = "station " + X["station"].astype(int).astype(str)
    return Table(X, data[tasks], dict.fromkeys(tasks, "regression"), groups=data["Date"])


def flights() -> Table:
    """Flights out of New York, spread evenly over the year. Those of a day share their weather and stay together."""
    data = load_flights(n_rows=FLIGHTS)
    kinds = {"cancelled": "binary", "late": "binary", "arr_delay": "regression", "air_time": "regression"}
    return Table(data.data, data.target[list(kinds)], kinds, groups=data.time.dt.date)


def air(path: Path) -> Table:
    """Three gases in a street of an Italian town, hour by hour, from cheap sensors; measured on the last days.

    Benzene is left out, as one of the sensors gives it away, and so are hydrocarbons, which only the first month has.
    """
    data = pd.read_csv(path, encoding="utf-8-sig", na_values=-200)
    tasks = ["CO(GT)", "NOx(GT)", "NO2(GT)"]
    time = pd.to_datetime(data["Date"] + " " + data["Time"], format="%Y/%m/%d %H:%M:%S")
    X = data.drop(columns=["Date", "Time", "C6H6(GT)", "NMHC(GT)", *tasks])
    X = X.assign(hour=time.dt.hour, weekday=time.dt.day_of_week)
    days = time.dt.date
    parts = pd.cut(days.rank(method="dense", pct=True), [0, 0.6, 0.8, 1], labels=["train", "val", "test"])
    return Table(X, data[tasks], dict.fromkeys(tasks, "regression"), groups=days, parts=parts)


def wine(red: Path, white: Path) -> Table:
    """Grade and colour of wines from chemical measurements. A sixth are copies of others: copies stay together."""
    colours = {1.0: red, 0.0: white}
    data = pd.concat([pd.read_csv(path, header=None).assign(red=colour) for colour, path in colours.items()])
    data = data.rename(columns={11: "quality"}).rename(columns=str).reset_index(drop=True)
    kinds = {"quality": "regression", "red": "binary"}
    X = data.drop(columns=list(kinds))
    return Table(X, data[list(kinds)], kinds, groups=copies(X))


def student(path: Path) -> Table:
    """Grades of the first, the second and the last term in Portuguese; none of them is an input."""
    return last_columns(pd.read_csv(path), 3, "regression")


def personality(path: Path) -> Table:
    """Gender, education (missing for some) and age of people, from their answers to 25 items of a questionnaire."""
    data = read_r(path)
    kinds = {"gender": "binary", "education": "multiclass", "age": "regression"}
    first = {"gender": 1, "education": 1, "age": 0}  # classes count from 0
    return Table(data.drop(columns=list(kinds)), data[list(kinds)] - pd.Series(first), kinds)


def molecules(path: Path) -> Table:
    """Six measures of what a body does with a molecule (most are missing for most), from 43 properties by RDKit."""
    from rdkit.Chem import MolFromSmiles
    from rdkit.Chem.rdMolDescriptors import Properties

    data = pd.read_csv(path)
    properties = Properties()
    rows = [list(properties.ComputeProperties(MolFromSmiles(smiles))) for smiles in data["SMILES"]]
    labels = data.filter(like="LOG ")
    short = ["HLM", "MDR1-MDCK", "solubility", "PPB human", "PPB rat", "RLM"]
    return Table(
        pd.DataFrame(rows, columns=list(properties.GetPropertyNames())),
        labels.set_axis(short, axis=1),
        dict.fromkeys(short, "regression"),
    )


def jura(path: Path) -> Table:
    """Three heavy metals in the soil, which cost more to measure than the four that are inputs."""
    return last_columns(read_arff(path), 3, "regression")


def yeast(path: Path) -> Table:
    """14 functions of genes from how they are expressed."""
    return last_columns(read_arff(path), 14, "binary")


def emotions(path: Path) -> Table:
    """Six emotions that people felt when they heard a piece of music, from rhythm and timbre."""
    return last_columns(read_arff(path), 6, "binary")


SOURCES: dict[str, Source] = {
    "voices": Source(voices, ["voices.csv"]),
    "weather": Source(weather, ["weather.csv"]),
    "flights": Source(flights, []),
    "air": Source(air, ["air.csv"]),
    "wine": Source(wine, ["wine-red.csv", "wine-white.csv"]),
    "molecules": Source(molecules, ["molecules.csv"]),
    "personality": Source(personality, ["personality.csv"]),
    "yeast": Source(yeast, ["yeast.arff"]),
    "emotions": Source(emotions, ["emotions.arff"], {"n_folds": 5}),
    "student": Source(student, ["student.csv"], {"n_folds": 5}),
    "jura": Source(jura, ["jura.arff"], {"relative_error": True, "n_folds": 10}),
}
