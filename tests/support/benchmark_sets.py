"""Small files that look like those of the accuracy benchmark's sets, and what must become of them."""

from types import SimpleNamespace

import _accuracy_sets_held_out as held_out
import numpy as np
import pandas as pd

ROWS = 40


def numbers(*names, rows=ROWS, high=100):
    """A table of numbers; the same ones for the same names."""
    return pd.DataFrame(np.random.default_rng(len(names)).integers(1, high, (rows, len(names))), columns=names)


def numbered(name, n):
    return [f"{name}{number}" for number in range(n)]


def csv(data, **how):
    return data.to_csv(index=False, **how)


def arff(data, n_binary=0):
    kinds = ["numeric"] * (data.shape[1] - n_binary) + ["{0,1}"] * n_binary
    attributes = [f"@attribute {name} {kind}" for name, kind in zip(data, kinds, strict=True)]
    return "\n".join(["@relation set", *attributes, "@data", csv(data, header=False)])


def many_labels(n_features, n_labels):
    labels = numbers(*numbered("Class", n_labels), high=3) - 1
    return arff(pd.concat([numbers(*numbered("Att", n_features)), labels], axis=1), n_labels)


def weather():
    data = numbers("Present_Tmax", "LDAPS_RHmin", "lat", "Next_Tmax", "Next_Tmin")
    data.insert(0, "station", np.resize(range(1, 6), ROWS))
    data.insert(1, "Date", np.repeat(pd.date_range("2013-06-30", periods=ROWS // 5).astype(str), 5))
    data.loc[0, "Date"] = data.loc[1, "station"] = None  # rows of no day and no station
    data.loc[2, ["Next_Tmax", "Next_Tmin"]] = None  # one without labels
    return csv(data)


def air():
    data = numbers("CO(GT)", "C6H6(GT)", "NMHC(GT)", "NOx(GT)", "NO2(GT)", "T")
    data.loc[5, ["CO(GT)", "T"]] = -200  # their sign for what is missing
    time = pd.date_range("2004-03-10 18:00", periods=ROWS, freq="h")
    data.insert(0, "Date", time.strftime("%Y/%m/%d"))
    data.insert(1, "Time", time.strftime("%H:%M:%S"))
    return "\ufeff" + csv(data)


def wine(seed):
    data = numbers(*numbered("", 12))
    return csv(pd.concat([data, data.iloc[:seed]]), header=False)


def personality():
    data = numbers("rownames", "A1", "A2").assign(
        gender=np.resize([1, 2], ROWS), education=np.resize(range(1, 6), ROWS)
    )
    data.loc[3, "education"] = None
    return csv(data.assign(age=range(20, 20 + ROWS)))


def molecules():
    data = pd.DataFrame({"Internal ID": numbered("Mol", ROWS), "SMILES": ["C" * (i + 1) for i in range(ROWS)]})
    return csv(data.join(numbers(*numbered("LOG ", 6))))


def school():
    grades = ["k", "1", "2", "3"]
    names = ["star", "read", "math", "system", "schoolid"]
    data = numbers("rownames", *(f"{name}{grade}" for name in names for grade in grades))
    data = data.assign(birth="1979 Q3", schoolid1=np.repeat(range(8), 5), schoolidk=None)
    data.loc[0, [f"{name}{grade}" for name in ("read", "math") for grade in grades]] = None  # a pupil without marks
    data.loc[1, "readk"] = data.loc[2, "birth"] = None
    return csv(data)


def crime():
    names = ["communityname", "state", "countyCode", "communityCode", "fold", "population", "PolicBudgPerPop"]
    rates = ["murders", "murdPerPop", "rapes", "rapesPerPop", "ViolentCrimesPerPop", "nonViolPerPop"]
    data = numbers(*names, *rates).astype(object)
    data.loc[3, ["PolicBudgPerPop", "rapesPerPop"]] = "?"
    return csv(data)


def drugs():
    answers = pd.DataFrame({name: np.resize(["CL0", "CL2", "CL3", "CL6"], ROWS) for name in held_out.DRUGS})
    return csv(pd.concat([numbers("id", *held_out.PEOPLE), answers], axis=1), header=False)


def infarction():
    labels = pd.DataFrame({name: np.resize([0, 1], ROWS) for name in held_out.COMPLICATIONS})
    labels["LET_IS"] *= 7  # of what the patient died
    data = pd.concat([numbers(*numbered("", 112)), labels], axis=1).astype(object)
    data.loc[2, "3"] = "?"
    return csv(data, header=False)


def mice():
    data = numbers("DYRK1A_N", "CaNA_N").assign(
        Genotype=np.repeat(["Control", "Ts65Dn"], ROWS // 2),
        Treatment=np.resize(["Memantine", "Saline"], ROWS),
        Behavior=np.resize(["C/S", "S/C", "S/C"], ROWS),
    )
    data["class"] = "c-CS-m"
    data.insert(0, "MouseID", [f"{300 + row // 5}_{row % 5 + 1}" for row in range(ROWS)])
    return csv(data)


def spectra():
    data = numbers("rownames", "x_001", "water", "fat", "protein").assign(x_001=range(ROWS))
    return csv(pd.concat([data, data[:3]]))


def residential():
    data = numbers("START YEAR", "V-1", "V-11", "V-11.1", "V-9", "V-10")
    return ("DATES,OUTPUTS\n" + csv(data)).replace("\n", "\r")


def of_flights(n_rows):
    data = numbers("sched_dep", "temp").assign(carrier=pd.Categorical(np.resize(["AA", "UA"], ROWS)))
    target = numbers("arr_delay", "air_time").assign(cancelled=np.resize([True, False], ROWS))
    target["late"] = pd.array(np.resize([True, False, None], ROWS), dtype="boolean")
    return SimpleNamespace(
        data=data, target=target, time=pd.Series(pd.date_range("2013-01-01", periods=ROWS, freq="6h"))
    )


# What the files of each set look like; the columns that must be left, or how many; the kinds of its tasks
CASES = {
    "voices": (
        [csv(numbers("subject#", "age", "sex", "test_time", "motor_UPDRS", "total_UPDRS", "PPE"))],
        ["age", "sex", "test_time", "PPE"],
        {"motor_UPDRS": "regression", "total_UPDRS": "regression"},
    ),
    "weather": (
        [weather()],
        ["station", "Present_Tmax", "LDAPS_RHmin", "lat", "year", "day"],
        {"Next_Tmax": "regression", "Next_Tmin": "regression"},
    ),
    "flights": (
        [],
        ["sched_dep", "temp", "carrier"],
        {"cancelled": "binary", "late": "binary", "arr_delay": "regression", "air_time": "regression"},
    ),
    "air": ([air()], ["T", "hour", "weekday"], dict.fromkeys(["CO(GT)", "NOx(GT)", "NO2(GT)"], "regression")),
    "wine": ([wine(0), wine(5)], numbered("", 11), {"quality": "regression", "red": "binary"}),
    "molecules": (
        [molecules()],
        ["carbons", "odd"],
        dict.fromkeys(["HLM", "MDR1-MDCK", "solubility", "PPB human", "PPB rat", "RLM"], "regression"),
    ),
    "personality": (
        [personality()],
        ["A1", "A2"],
        {"gender": "binary", "education": "multiclass", "age": "regression"},
    ),
    "yeast": ([many_labels(3, 14)], numbered("Att", 3), dict.fromkeys(numbered("Class", 14), "binary")),
    "emotions": ([many_labels(3, 6)], numbered("Att", 3), dict.fromkeys(numbered("Class", 6), "binary")),
    "student": (
        [csv(numbers("age", "absences", "G1", "G2", "G3").assign(age="18"))],
        ["age", "absences"],
        dict.fromkeys(["G1", "G2", "G3"], "regression"),
    ),
    "jura": (
        [arff(numbers("Xloc", "Ni", "Zn", "Cd", "Co", "Cu"))],
        ["Xloc", "Ni", "Zn"],
        dict.fromkeys(["Cd", "Co", "Cu"], "regression"),
    ),
    "turbine": (
        [csv(numbers(*held_out.TURBINE).iloc[year:], header=False) for year in range(5)],
        ["AT", "AP", "AH", "AFDP", "GTEP", "TIT", "TAT", "TEY", "CDP"],
        {"CO": "regression", "NOX": "regression"},
    ),
    "school": (
        [school()],
        ["stark", "star1", "star2", "star3", "birth"],
        dict.fromkeys([f"{subject}{grade}" for subject in ("read", "math") for grade in "k123"], "regression"),
    ),
    "frogs": (
        [
            csv(
                numbers("MFCCs_ 1", "MFCCs_22").assign(
                    Family=np.resize(["Hylidae", "Bufonidae"], ROWS),
                    Genus=np.resize(["Scinax", "Rhinella", "Hypsiboas"], ROWS),
                    Species="ScinaxRuber",
                    RecordID=np.repeat(range(10), 4),
                )
            )
        ],
        ["MFCCs_ 1", "MFCCs_22"],
        dict.fromkeys(["Family", "Genus", "Species"], "multiclass"),
    ),
    "care": (
        [
            csv(
                numbers("rownames", "visits", "nvisits", "ovisits", "novisits", "emergency", "hospital", "age").assign(
                    health=np.resize(["poor", "average", "excellent"], ROWS), medicaid=np.resize(["yes", "no"], ROWS)
                )
            )
        ],
        ["age", "medicaid"],
        {
            **dict.fromkeys(["visits", "nvisits", "ovisits", "novisits", "emergency", "hospital"], "regression"),
            "health": "multiclass",
        },
    ),
    "crime": (
        [crime()],
        ["state", "population", "PolicBudgPerPop"],
        {"murdPerPop": "regression", "rapesPerPop": "regression"},
    ),
    "drugs": ([drugs()], held_out.PEOPLE, dict.fromkeys([d for d in held_out.DRUGS if d != "semer"], "binary")),
    "infarction": (
        [infarction()],
        [str(number) for number in range(2, 113) if number not in held_out.LEFT_OUT],
        dict.fromkeys([name for name in held_out.COMPLICATIONS if name != "PREDS_TAH"], "binary"),
    ),
    "mice": (
        [mice()],
        ["DYRK1A_N", "CaNA_N"],
        {"Genotype": "binary", "Treatment": "binary", "Behavior": "binary"},
    ),
    "soybean": (
        [csv(numbers("rownames", "env", "loc", "year", "gen", *(traits := numbered("trait", 6))))],
        ["loc", "year", "gen"],
        dict.fromkeys(traits, "regression"),
    ),
    "residential": (
        [residential()],
        ["START YEAR", "V-1", "V-11", "V-11.1"],
        {"V-9": "regression", "V-10": "regression"},
    ),
    "spectra": (
        [spectra()],
        ["x_001"],
        dict.fromkeys(["water", "fat", "protein"], "regression"),
    ),
}
# Rows that hang together: days, wines and meats that are no copies, schools, recordings, mice
GROUPS = {
    "weather": 8,
    "flights": 10,
    "air": 3,
    "turbine": 10,
    "wine": 40,
    "spectra": 40,
    "school": 8,
    "frogs": 10,
    "mice": 8,
}
