"""The packages, which pyproject.toml cannot both discover and map: conf/ is installed as cnnlab.conf."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["cnnlab", "cnnlab.*"]), "cnnlab.conf"],
    package_dir={"cnnlab.conf": "conf"},
)
