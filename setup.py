"""The packages, which pyproject.toml cannot both discover and map: conf/ is installed as cnnlab.conf."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["cnnlab", "cnnlab.*"]), "cnnlab.conf", "hydra_plugins"],
    package_dir={"cnnlab.conf": "conf"},
)
