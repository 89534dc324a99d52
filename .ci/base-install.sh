#!/usr/bin/env bash
# What a hospital installs: builds wheel and sdist, installs the base alone into an environment of its own, and there,
# in a folder outside the repository, answers with the model in the box, tries every command and passes the prediction
# tests.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
builder=${BUILDER:-$root/.venv/bin/python}
limit_mb=300
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pip=(--quiet --disable-pip-version-check --constraint "$root/requirements.lock")

echo "Building wheel and sdist"
mkdir "$work/tree"
(cd "$root" && git ls-files -z | xargs -0 tar -c) | tar -x -C "$work/tree"
cp -r "$work/tree" "$work/direct"
"$builder" -m build --no-isolation --outdir "$work/dist" "$work/tree" >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
"$builder" -m build --no-isolation --wheel --outdir "$work/direct-dist" "$work/direct" >>"$work/build.log" 2>&1
"$builder" - "$work"/dist/*.whl "$work"/direct-dist/*.whl <<'PYTHON'
import sys, zipfile
sums = [{one.filename: one.CRC for one in zipfile.ZipFile(path).infolist()} for path in sys.argv[1:]]
different = sorted(name for name in sums[0] | sums[1] if sums[0].get(name) != sums[1].get(name))
sys.exit(f"The sdist builds another wheel than the tree: {different}" if different else 0)
PYTHON

echo "Installing the base"
"$builder" -m venv "$work/venv"
python=$work/venv/bin/python
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
before=$(du -sm "$site" | cut -f1)
"$python" -m pip install "${pip[@]}" "$work"/dist/*.whl
size=$(($(du -sm "$site" | cut -f1) - before))
echo "Installed: $size MB"
((size < limit_mb)) || { echo "The base install has $size MB; less than $limit_mb were promised."; exit 1; }
"$python" - <<'PYTHON'
import importlib.util, sys
heavy = ("torch", "lightning", "pandas", "sklearn", "scipy", "matplotlib", "seaborn", "onnx")
found = [name for name in heavy if importlib.util.find_spec(name)]
sys.exit(f"The base install brings {', '.join(found)}" if found else 0)
PYTHON

echo "Answering with the model in the box"
mkdir "$work/elsewhere"
cd "$work/elsewhere"
unset PYTHONPATH
"$python" -c 'from PIL import Image; Image.effect_noise((300, 200), 60).save("a.png")'
"$work/venv/bin/radlens" predict pneumonia-cxr a.png --format csv --out answers.csv --explain maps
"$python" - <<'PYTHON'
import csv, pathlib
with open("answers.csv", newline="", encoding="utf-8") as file:
    (row,) = csv.DictReader(file)
assert row["path"] == "a.png" and not row["error"], row
assert abs(float(row["probability_NORMAL"]) + float(row["probability_PNEUMONIA"]) - 1) < 1e-5, row
assert pathlib.Path("maps/a.png.png").is_file()
PYTHON

echo "Trying every command"
"$python" "$root/.ci/base_commands.py"

echo "Passing the prediction tests"
"$python" -m pip install "${pip[@]}" pytest hypothesis
# hypothesis is asked for by the fixtures that all tests share.
tests=()
for name in answer_file answer_rows inputs overlay predict_files predictor remarks stream; do
  tests+=("$root/tests/runtime/test_$name.py")
done
"$python" -m pytest -q -p no:cacheprovider "${tests[@]}"

echo "The same at the lowest versions"
"$root/.ci/lowest.sh" base "$python"
