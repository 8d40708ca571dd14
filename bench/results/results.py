#!/usr/bin/env python3
"""Real data, one command each: what Soma's defaults reach, beside scikit-learn on the same rows.

    bench/results/run [--soma PROGRAM] [--out FOLDER] [--write docs/results.md] [TASK...]

Each task becomes a file to train with and one to be judged by. Soma and scikit-learn see the same
rows of both. Small tables are cut in ten ways, medium ones in three; the mean counts.
"""
import argparse
import gzip
import json
import os
import platform
import random
import re
import subprocess
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Callable

import numpy as np
import pandas
import sklearn
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

here = Path(__file__).resolve().parent
project = here.parent.parent
packages = Path("/usr/lib/python3/dist-packages")
sklearn_data = packages / "sklearn/datasets/data"
statsmodels_data = packages / "statsmodels/datasets"
vega_data = packages / "vega_datasets/_data"


# ---- the data: name, where it is from, target, and a table of all rows

def sklearn_table(file):
    """The tables of scikit-learn begin with a line of their sizes and classes."""
    with open(sklearn_data / file) as lines:
        classes = lines.readline().strip().split(",")[2:]
        table = pandas.read_csv(lines, header=None)
    table.columns = [f"x{i}" for i in range(table.shape[1] - 1)] + ["kind"]
    table["kind"] = [classes[i] for i in table["kind"]]
    return table


def digits():
    table = pandas.read_csv(gzip.open(sklearn_data / "digits.csv.gz"), header=None)
    table.columns = [f"p{i}" for i in range(64)] + ["digit"]
    return table.astype(int)


def diabetes():
    names = "age sex bmi pressure s1 s2 s3 s4 s5 s6".split()
    table = pandas.read_csv(sklearn_data / "diabetes_data_raw.csv.gz", sep=" ", header=None, names=names)
    table["progress"] = np.loadtxt(gzip.open(sklearn_data / "diabetes_target.csv.gz"))
    return table


def verses():
    """Verses of the King James Bible: which Testament is each from?"""
    text = subprocess.run(["bible", "-f"], input="gen1:1-rev22:21\n", capture_output=True, text=True,
                          check=True).stdout
    rows, testament = [], "old"
    for line in text.splitlines():
        place, _, verse = line.partition(" ")
        if place.startswith("Mat"):
            testament = "new"
        if re.fullmatch(r"\w+:\d+", place):
            rows.append((verse.strip(), testament))
    return pandas.DataFrame(rows, columns=["verse", "testament"])


def words():
    """Words of five languages, those that are in one dictionary only."""
    files = {"English": "british-english", "French": "french", "German": "ngerman", "Italian": "italian",
             "Spanish": "spanish"}
    known = {}
    for language, file in files.items():
        for word in (Path("/usr/share/dict") / file).read_text().split():
            word = word.lower()
            if word.isalpha() and len(word) > 3:
                known.setdefault(word, set()).add(language)
    alone = {language: [] for language in files}
    for word, languages in known.items():
        if len(languages) == 1:
            alone[next(iter(languages))].append(word)
    draw = random.Random(1)
    rows = [(" ".join(word), language) for language in files for word in draw.sample(sorted(alone[language]), 12000)]
    return pandas.DataFrame(rows, columns=["word", "language"])


def cars():
    table = pandas.read_json(vega_data / "cars.json").drop(columns="Name")
    table["Year"] = pandas.to_datetime(table["Year"]).dt.year
    return table.dropna(subset="Miles_per_Gallon")


def weather():
    table = pandas.read_csv(vega_data / "seattle-weather.csv")
    table["month"] = [str(day)[5:7] for day in table.pop("date")]
    return table


@dataclass
class Task:
    what: str
    target: str
    load: Callable[[], pandas.DataFrame]
    more: list[str] = field(default_factory=list)  # further words of the command

    def text(self):
        return self.more[self.more.index("--text") + 1] if "--text" in self.more else ""

    def number(self, flag):
        return int(self.more[self.more.index(flag) + 1])


TASKS = {
    "iris": Task("iris, 150 flowers", "species", lambda: pandas.read_csv(project / "data/iris.csv")),
    "penguins": Task("penguins, 344, with holes", "species", lambda: pandas.read_csv(project / "data/penguins.csv")),
    "wine": Task("wine, 178 bottles", "kind", lambda: sklearn_table("wine_data.csv")),
    "cancer": Task("breast cancer, 569 samples", "kind", lambda: sklearn_table("breast_cancer.csv")),
    "digits": Task("digits, 1,797 images of 8 x 8, as columns", "digit", digits),
    "weather": Task("weather of Seattle, 1,461 days", "weather", weather),
    "cars": Task("cars, 398: miles per gallon", "Miles_per_Gallon", cars),
    "diabetes": Task("diabetes, 442 patients: progress", "progress", diabetes),
    "health": Task("RAND health insurance, 20,190 persons: visits to a doctor", "mdvis",
                   lambda: pandas.read_csv(statsmodels_data / "randhie/randhie.csv"), ["--task", "regression"]),
    "verses": Task("King James Bible, 31,102 verses: which Testament", "testament", verses, ["--text", "verse"]),
    "words": Task("dictionaries, 60,000 words: which of five languages", "language", words,
                  ["--text", "word", "--epochs", "20", "--net",
                   "embedding vocabulary 32 pad=0 mask=true, bidirectional([gru 96]), dropout 0.2, classes"]),
    "sunspots": Task("sunspots, 3,177 months: the next year, each month", "sunspots",
                     lambda: pandas.read_csv(project / "data/sunspots.csv")[["sunspots"]],
                     ["--series", "--window", "264", "--horizon", "12", "--season", "132"]),
}


# ---- scikit-learn

def network(classes, rows):
    kind = MLPClassifier if classes else MLPRegressor
    return kind(max_iter=500, early_stopping=rows > 5000, random_state=1)


def rivals(task, train, test):
    """Scores of a linear model and of a network of 100 neurons, where that takes minutes at most."""
    if "--series" in task.more:
        steps, horizon = task.number("--window"), task.number("--horizon")
        cut_up = [np.lib.stride_tricks.sliding_window_view(t[task.target].to_numpy(), steps + horizon)
                  for t in (train, test)]
        (x, y), (tx, ty) = ((rows[:, :steps], rows[:, steps:]) for rows in cut_up)
        linear = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13))).fit(x, y)
        mlp = make_pipeline(StandardScaler(), MLPRegressor(early_stopping=True, random_state=1)).fit(x, y)
        return {name: mean_absolute_error(ty, m.predict(tx)) for name, m in (("linear", linear), ("network", mlp))}
    classes = is_classes(train[task.target])
    linear = LogisticRegression(max_iter=2000) if classes else RidgeCV(np.logspace(-3, 3, 13))
    if task.text():
        letters = all(len(word) == 1 for word in train[task.text()][0].split())
        models = {"linear": make_pipeline(
            TfidfVectorizer(token_pattern=r"(?u)\S+", ngram_range=(1, 3) if letters else (1, 1)), linear)}
        pick = lambda t: t[task.text()]
    else:
        columns = train.drop(columns=task.target)
        words_in = [c for c in columns if columns[c].dtype == object]
        inputs = make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), words_in),
            remainder=make_pipeline(SimpleImputer(), StandardScaler()))
        models = {"linear": make_pipeline(inputs, linear),
                  "network": make_pipeline(inputs, network(classes, len(train)))}
        pick = lambda t: t.drop(columns=task.target)
    return {name: model.fit(pick(train), train[task.target]).score(pick(test), test[task.target])
            for name, model in models.items()}


# ---- Soma

def run_soma(soma, arguments):
    result = subprocess.run([soma, *arguments], capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"soma {' '.join(arguments)}: {result.stderr}")
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def soma_score(soma, task, folder, seed):
    start = time.monotonic()
    run_soma(soma, ["train", str(folder / "train.csv"), "--target", task.target, *task.more, "--seed", str(seed),
                    "--test", "0", "--out", str(folder / "run"), "--quiet", "--json"])
    seconds = time.monotonic() - start
    judged = run_soma(soma, ["evaluate", str(folder / "run/model.soma"), str(folder / "test.csv"), "--json"])[-1]
    return judged[measure(task, judged)], seconds


def measure(task, judged):
    return "mae" if "--series" in task.more else "accuracy" if "accuracy" in judged else "r2"


# ---- the comparison

def is_classes(column):
    return column.dtype == object or column.dtype.kind == "i" and column.nunique() <= 10


def cut(table, task, seed):
    if "--series" in task.more:
        now = len(table) * 4 // 5
        return table[:now], table[now - task.number("--window"):]
    classes = table[task.target] if is_classes(table[task.target]) else None
    return train_test_split(table, test_size=0.25, random_state=seed, stratify=classes)


def compare(soma, name, out):
    task = TASKS[name]
    table = task.load()
    folder = Path(out) / name
    os.makedirs(folder, exist_ok=True)
    scores = {}
    rounds = 1 if "--series" in task.more or len(table) > 5000 else 10 if len(table) < 1000 else 3
    for seed in range(1, rounds + 1):
        train, test = (part.reset_index(drop=True) for part in cut(table, task, seed))
        train.to_csv(folder / "train.csv", index=False)
        test.to_csv(folder / "test.csv", index=False)
        score, seconds = soma_score(soma, task, folder, seed)
        for key, value in {"soma": score, "seconds": seconds, **rivals(task, train, test)}.items():
            scores.setdefault(key, []).append(value)
    judged_by = "mean error" if "--series" in task.more else "accuracy" if is_classes(table[task.target]) else "r²"
    digits_shown = 1 if "--series" in task.more else 3
    shown = {key: f"{np.mean(values):.{digits_shown}f}" for key, values in scores.items()}
    words = "".join(f' "{word}"' if " " in word else f" {word}" for word in ["--target", task.target, *task.more])
    return (f"| {task.what} | {judged_by} | **{shown['soma']}** | {shown.get('network', '')} | {shown['linear']} | "
            f"{np.mean(scores['seconds']):.1f} | `soma train {name}.csv{words}` |")


PAGE = """# Results on real data

One command each, beside scikit-learn {sklearn} on the same rows: a network of 100 neurons
(`MLPClassifier`, `MLPRegressor`) and a linear model (`LogisticRegression`, `RidgeCV`; of texts, over
tf-idf of words or of up to three letters), with scaled columns and categories one-hot. A quarter of the
rows, in the proportions of the classes, is kept for the test; of a series, its last fifth. Tables of
fewer than 1,000 rows are cut in ten ways and those below 5,000 in three; means are shown. With a
hundred test rows, a row is 0.01 of the accuracy: differences below that are none.

[bench/results/run](../bench/results/run) makes this page from data that Debian packages and Soma
itself bring along. {date}, {machine}, 2 threads; seconds of `soma train` from start to end.

{table}

Images and running text are in the [README](../README.md#on-real-work): Fashion-MNIST, the Bible
letter by letter. {more}"""

MORE = """Five million rows (414 MB, 10 columns) train in 290 MB of memory:
[how-to](how-to/train-on-a-table.md).
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("--soma", default=str(project / "build/cli/soma"))
    parser.add_argument("--out", default=str(project / "build/results"), help="where the data and runs go")
    parser.add_argument("--write", help="the page to write")
    options = parser.parse_args()
    lines = ["| data | measure | Soma | network | linear | seconds | command |", "|---|---|---|---|---|---|---|"]
    for name in options.tasks or TASKS:
        lines.append(compare(options.soma, name, options.out))
        print(lines[-1], flush=True)
    if options.write:
        Path(options.write).write_text(PAGE.format(
            sklearn=sklearn.__version__, date=date.today(), machine=processor(), table="\n".join(lines), more=MORE))


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(": ")[1]
    return platform.machine()


if __name__ == "__main__":
    main()
