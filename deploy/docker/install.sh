#!/bin/sh
# Installs exactly what requirements/$1.txt pins into /venv: from /wheelhouse alone when it holds
# wheels (a site without a network), else from pip's configured index, and, for the CPU build of
# torch, from TORCH_INDEX.
set -eu
pins=/requirements/$1.txt
set -- --no-deps --require-hashes --no-build-isolation --find-links /wheelhouse
if ls /wheelhouse/*.whl >/dev/null 2>&1; then
  set -- "$@" --no-index
elif [ -n "${TORCH_INDEX:-}" ]; then
  set -- "$@" --extra-index-url "$TORCH_INDEX"
elif grep -q '^torch==.*+cpu' "$pins"; then
  echo "torch's CPU build has an index of its own: docker build --build-arg TORCH_INDEX=ADDRESS," >&2
  echo "or put the wheels into deploy/docker/wheelhouse (make wheelhouse); docs/deploy.md" >&2
  exit 1
fi
python -m venv /venv
/venv/bin/pip install --no-cache-dir "$@" -r /requirements/build.txt
/venv/bin/pip install --no-cache-dir "$@" -r "$pins"
