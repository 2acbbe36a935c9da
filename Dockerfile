# Sings on a CPU, without a network once it is built:
#   docker build -t songgen-hf .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/songs" songgen-hf generate "a calm folk song" --lyrics "the river runs"
# tests/test_dockerfile.py runs the RUN lines in a bare virtual environment.
FROM python:3.11-slim

# Where PyTorch for CPUs comes from; empty: from where pip looks anyway (on x86 with CUDA, 3 GB more).
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# More parts of the package, with their comma: ,train,corpus
ARG EXTRAS=
# What is sung is written here: mount a folder over it.
ARG SONGS=/songs

ENV PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
# One thread: the default model is small, and threads that wait for each other cost more than they give.
ENV OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1 HF_HOME=/tmp/huggingface HF_HUB_DISABLE_TELEMETRY=1
# For users without a name and a home, as `--user` makes them.
ENV HOME=/tmp USER=singer

# Pronounces the lyrics when takes are ranked (`--best-of`) and words are timed.
RUN apt-get update && apt-get install --yes --no-install-recommends espeak-ng && rm -rf /var/lib/apt/lists/*

WORKDIR /build
# First what changes seldom, so that a change of the package does not fetch PyTorch again.
COPY constraints.txt ./
RUN python -m pip install --constraint constraints.txt ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} torch
COPY setup.py pyproject.toml README.md LICENSE NOTICE ./
COPY songgen_hf songgen_hf
RUN python -m pip install --constraint constraints.txt ".[completion${EXTRAS}]" && rm -rf build *.egg-info
RUN mkdir -p -m 1777 "${SONGS}"

# Anybody but root; `--user` names who owns the songs.
USER 1000:1000
WORKDIR ${SONGS}
# Nothing leaves the build that does not sing.
RUN songgen-hf doctor --sing && rm -rf "${HF_HOME}"
ENTRYPOINT ["songgen-hf"]
CMD ["--help"]
