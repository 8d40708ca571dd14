#!/usr/bin/env python3
"""Real data, one command each: what Soma's defaults reach, beside scikit-learn on the same rows.

    bench/results/run [--soma PROGRAM] [--out FOLDER] [--write docs/results.md] [TASK...]

Each task becomes files of a training and a test part; scikit-learn's networks and linear models,
with scaled inputs, and `soma train` see the same training rows and are judged by the same test
rows. Small tables are cut in several ways, and the mean over these is what counts.
"""
import argparse
import gzip
import json
import os
import random
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

here = Path(__file__).resolve().parent
project = here.parent.parent
packages = Path("/usr/lib/python3/dist-packages")
sklearn_data = packages / "sklearn/datasets/data"
statsmodels_data = packages / "statsmodels/datasets"


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


TABLES = {
    "iris": ("iris (150 flowers)", "species", lambda: pandas.read_csv(project / "data/iris.csv")),
    "penguins": ("penguins (344, with holes)", "species", lambda: pandas.read_csv(project / "data/penguins.csv")),
    "wine": ("wine (178 bottles)", "kind", lambda: sklearn_table("wine_data.csv")),
    "cancer": ("breast cancer (569 samples)", "kind", lambda: sklearn_table("breast_cancer.csv")),
    "digits": ("digits (1,797 images of 8 x 8, as columns)", "digit", digits),
    "diabetes": ("diabetes (442 patients)", "progress", diabetes),
    "health": ("RAND health insurance (20,190 visits)", "mdvis",
               lambda: pandas.read_csv(statsmodels_data / "randhie/randhie.csv")),
    "verses": ("King James Bible (31,102 verses): which Testament", "testament", verses, "--text", "verse"),
    "words": ("dictionaries (60,000 words): which of five languages", "language", words, "--text", "word",
              "--net", "embedding vocabulary 32 pad=0 mask=true, gru 64, classes"),
}


# ---- scikit-learn

def is_text(task):
    return task in ("verses", "words")


def rivals(task, table, target):
    classes = table[target].dtype == object or task == "digits"
    if is_text(task):
        inputs = TfidfVectorizer(token_pattern=r"(?u)\S+", ngram_range=(1, 3) if task == "words" else (1, 1))
    else:
        columns = table.drop(columns=target)
        words_in = [c for c in columns if columns[c].dtype == object]
        inputs = make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), words_in),
            remainder=make_pipeline(SimpleImputer(), StandardScaler()))
    linear = LogisticRegression(max_iter=2000) if classes else RidgeCV(np.logspace(-3, 3, 13))
    found = {"linear": make_pipeline(inputs, linear)}
    if not is_text(task):  # Hours, with as many inputs as there are words.
        kind = MLPClassifier if classes else MLPRegressor
        found["network"] = make_pipeline(inputs, kind(max_iter=500, early_stopping=len(table) > 5000, random_state=1))
    return found


def judge(model, train, test, target, task):
    pick = (lambda t: t[t.columns[0]]) if is_text(task) else (lambda t: t.drop(columns=target))
    model.fit(pick(train), train[target])
    return model.score(pick(test), test[target])


# ---- Soma

def run_soma(soma, arguments):
    result = subprocess.run([soma, *arguments], capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"soma {' '.join(arguments)}: {result.stderr}")
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def soma_score(soma, folder, train, test, target, seed, more):
    train.to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    start = time.monotonic()
    run_soma(soma, ["train", str(folder / "train.csv"), "--target", target, *more, "--seed", str(seed), "--out",
                    str(folder / "run"), "--quiet", "--json"])
    seconds = time.monotonic() - start
    judged = run_soma(soma, ["evaluate", str(folder / "run/model.soma"), str(folder / "test.csv"), "--json"])[-1]
    return judged.get("accuracy", judged.get("r2")), seconds


def cut(table, target, seed):
    classes = table[target].dtype == object or table[target].nunique() <= 20
    return train_test_split(table, test_size=0.25, random_state=seed, stratify=table[target] if classes else None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", choices=[*TABLES, []], metavar="TASK")
    parser.add_argument("--soma", default=str(project / "build/cli/soma"))
    parser.add_argument("--out", default=str(project / "build/results"))
    parser.add_argument("--write", help="the page to write")
    options = parser.parse_args()
    lines = ["| data | measure | command | Soma | scikit-learn: network | linear | seconds of training |",
             "|---|---|---|---|---|---|---|"]
    for task in options.tasks or TABLES:
        what, target, load, *more = TABLES[task]
        table = load()
        folder = Path(options.out) / task
        os.makedirs(folder, exist_ok=True)
        scores = {}
        for seed in range(1, 11 if len(table) < 1000 else 4 if len(table) < 5000 else 2):
            train, test = cut(table, target, seed)
            score, seconds = soma_score(options.soma, folder, train, test, target, seed, more)
            scores.setdefault("soma", []).append(score)
            scores.setdefault("seconds", []).append(seconds)
            for name, model in rivals(task, table, target).items():
                scores.setdefault(name, []).append(judge(model, train, test, target, task))
        measure = "accuracy" if table[target].dtype == object or task == "digits" else "R²"
        shown_more = "".join(f" {word}" if " " not in word else f' "{word}"' for word in more)
        shown = {name: f"{np.mean(values):.3f}" for name, values in scores.items()}
        lines.append(f"| {what} | {measure}, mean of {len(scores['soma'])} | `soma train {task}.csv --target {target}{shown_more}` | "
                     f"{shown['soma']} | {shown.get('network', '')} | {shown['linear']} | "
                     f"{np.mean(scores['seconds']):.1f} |")
        print(lines[-1], flush=True)


if __name__ == "__main__":
    main()
