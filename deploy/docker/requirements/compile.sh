#!/bin/sh
# Pins what each image installs, with hashes and without any registry's address; `make lock` runs
# it after requirements/compile.sh, whose versions it takes. torch==…+cpu must be found through
# PIP_FIND_LINKS (a folder or page) or UV_EXTRA_INDEX_URL.
set -eu
here=deploy/docker/requirements
known="-c requirements/base.txt -c requirements/embed.txt -c requirements/serve.txt"
compile() { # output, then what to pin
  out=$1; shift
  echo "pinning $out" >&2
  uv pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --generate-hashes --no-annotate --no-header \
    --override requirements/overrides.txt --no-emit-index-url --no-emit-find-links \
    ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} "$@" -o "$here/$out"
}
for service in ingest retrieve generate feedback mail; do
  compile "$service.txt" pyproject.toml --extra "$service" $known
done
compile operator.txt pyproject.toml "$here/operator.in" --extra cli $known
echo setuptools > "$here/build.tmp"  # builds nkeys, which has no wheel
compile build.txt "$here/build.tmp"
rm "$here/build.tmp"
# Three with torch: for CPUs its own build, for GPUs the registry's, with CUDA beside it.
echo "torch==$(sed -n 's/^torch==//p' requirements/torch.txt)+cpu" > "$here/cpu.tmp"
compile embed-cpu.txt pyproject.toml "$here/cpu.tmp" --extra embed $known
compile model-cpu.txt pyproject.toml "$here/cpu.tmp" --extra serve --extra generate --extra cli $known
rm "$here/cpu.tmp"
PIP_FIND_LINKS= compile embed-gpu.txt pyproject.toml --extra embed -c requirements/base.txt
# ray[llm] pins the vLLM, for CUDA, that Ray's own code was written against.
uv pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
  --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
  pyproject.toml deploy/ray/requirements.in --extra generate --extra cli -o "$here/model-gpu.txt"
