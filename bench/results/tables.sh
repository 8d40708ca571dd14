#!/usr/bin/env bash
# Remakes the figures on tables in docs/results.md: fetches the data (Debian's python3-sklearn and
# python3-statsmodels and npm's vega-datasets, which are only unpacked), writes it as CSV files, and
# trains on each with three seeds by one command. Usage: bench/results/tables.sh [FOLDER]
set -euo pipefail
soma=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/${SOMA_BUILD:-build}/cli/soma
mkdir -p "${1:-/tmp/soma-tables}" && cd "${1:-/tmp/soma-tables}"

if [[ ! -d unpacked ]]; then
  apt-get download -q python3-sklearn python3-statsmodels
  for package in *.deb; do dpkg-deb -x "$package" unpacked; done
  npm pack --silent vega-datasets@3.2.1
  tar -xzf vega-datasets-3.2.1.tgz -C unpacked
fi
python=unpacked/usr/lib/python3/dist-packages
sklearn=$python/sklearn/datasets/data

{
  echo alcohol,malic_acid,ash,alcalinity,magnesium,phenols,flavanoids,nonflavanoids,proanthocyanins,color,hue,od280,proline,cultivar
  tail -n +2 $sklearn/wine_data.csv
} > wine.csv
{
  printf 'x%d,' {1..30} && echo benign
  tail -n +2 $sklearn/breast_cancer.csv
} > cancer.csv
{
  echo age,sex,bmi,bp,s1,s2,s3,s4,s5,s6,progression
  paste -d, <(zcat $sklearn/diabetes_data_raw.csv.gz | tr ' ' ,) <(zcat $sklearn/diabetes_target.csv.gz)
} > diabetes.csv
# An array of objects with one field on each line.
awk -F'": *' '
  /"/ { gsub(/^ *"/, "", $1); gsub(/,? *\r?$/, "", $2); if ($2 == "null") $2 = ""; row[$1] = $2 }
  /}/ { print row["Cylinders"] "," row["Displacement"] "," row["Horsepower"] "," \
              row["Weight_in_lbs"] "," row["Acceleration"] "," row["Year"] "," row["Origin"] "," \
              row["Miles_per_Gallon"]; delete row }
  BEGIN { print "cylinders,displacement,horsepower,weight,acceleration,year,origin,mpg" }
' unpacked/package/data/cars.json > cars.csv
cp unpacked/package/data/seattle-weather.csv weather.csv
cp $python/statsmodels/datasets/randhie/randhie.csv randhie.csv

train() {
  for seed in 11 12 13; do
    echo "soma train $* --seed $seed"
    "$soma" train "$@" --seed $seed | grep -E '^(test|for comparison)'
  done
}
train penguins
train wine.csv
train cancer.csv
train weather.csv
train cars.csv
train diabetes.csv
train randhie.csv --target mdvis --task regression
