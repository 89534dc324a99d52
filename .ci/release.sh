#!/usr/bin/env bash
# Make in dist/ what a release consists of: wheel, sdist, a CycloneDX bill of the locked packages, and their checksums.
# Refuses what is not ready; tags and uploads nothing (.github/workflows/release.yml does so when the tag arrives).
set -euo pipefail
cd "$(dirname "$0")/.."
[[ -z $(git status --porcelain) ]] || { echo "The work tree has changes: commit them or put them aside."; exit 1; }
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' src/radlens/base/version.py)
wants() { grep -qE "$1" "$2" || { echo "$2 does not say: $3"; exit 1; }; }
wants "^version: ${version//./\\.}\$" CITATION.cff "version: $version"
wants "^## \[${version//./\\.}\] - [0-9]{4}-[0-9]{2}-[0-9]{2}\$" CHANGELOG.md "## [$version] - and the day of the release"
! git rev-parse -q --verify "refs/tags/v$version" >/dev/null || [[ $(git rev-parse "v$version^{commit}") == $(git rev-parse HEAD) ]] ||
  { echo "v$version is the tag of another commit: raise the version."; exit 1; }
.ci/run
rm -rf dist
.venv/bin/python -m build --no-isolation --outdir dist . >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.venv/bin/python -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0
"$work/venv/bin/cyclonedx-py" requirements requirements.lock --pyproject pyproject.toml --mc-type library --short-PURLs \
  --output-reproducible --validate --of JSON -o "dist/radlens-$version.cdx.json"
(cd dist && sha256sum -- * >SHA256SUMS && cat SHA256SUMS)
