#!/bin/sh
# Pins every dependency again, without any registry's address. Run from the repository root
# through `make lock`; the files install one after another because the CPU build of
# torch comes from its own place (see `deploy/local/install.py`).
set -eu
compile() { # output, constraint files as -c …, then extras as --extra …
  out=$1; shift
  uv pip compile pyproject.toml --quiet --python-version 3.11 --no-annotate --no-header \
    --override requirements/overrides.txt --no-emit-index-url --no-emit-find-links \
    ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} \
    "$@" -o "requirements/$out"
}
compile all.tmp --all-extras ${SOURCIER_CONSTRAINTS:+-c "$SOURCIER_CONSTRAINTS"}
compile base.txt -c requirements/all.tmp --extra ingest --extra retrieve --extra generate \
  --extra feedback --extra mail --extra cli --extra stack
compile embed.txt -c requirements/all.tmp --extra embed
compile dev.txt -c requirements/all.tmp --extra dev
compile serve.txt -c requirements/all.tmp --extra serve
grep '^torch==' requirements/embed.txt | sed 's/+cpu//' > requirements/torch.txt
sed -i -E '/^torch==/d' requirements/embed.txt requirements/serve.txt requirements/dev.txt
rm requirements/all.tmp
