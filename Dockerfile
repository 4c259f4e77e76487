# Tried with buildah and Debian 12 with python3, python3-venv, python3-dev, g++,
# make, git, libgl1 and libglib2.0-0 as the base; `sce doctor` and a training ran
# in the image. The base named below and nvcc were not at hand.
#
#   docker build -t sce_mm .
#   docker run --gpus all --ipc=host -v "$PWD":/data sce_mm \
#       train sce_resnet50_1xb128-amp-coslr-200e_folder --data /data/images
#
# The image has everything, detection and segmentation too. The ops of mmcv are
# compiled for the CPU alone unless the base has nvcc, and Python 3.11 or 3.12:
#
#   docker build --build-arg BASE=IMAGE --build-arg FORCE_CUDA=1 -t sce_mm .
ARG BASE=python:3.11-bookworm

FROM ${BASE}
ARG FORCE_CUDA=0
WORKDIR /opt/sce_mm
COPY . .
# Wheels in the cache are needed only while the environment is made.
RUN make setup && rm -rf /root/.cache
ENV PATH=/opt/sce_mm/.venv/bin:$PATH
WORKDIR /data
ENTRYPOINT ["sce"]
CMD ["doctor"]
