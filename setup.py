"""The packages, which pyproject.toml cannot both discover and map: conf/ is installed as cnnlab.conf.

Folders of data, such as conf/model, are namespace packages: setuptools warns of each that is not named here.
"""

from setuptools import find_namespace_packages, setup

NO_CODE = ["*__pycache__*"]

setup(
    packages=[
        *find_namespace_packages(include=["cnnlab", "cnnlab.*"], exclude=NO_CODE),
        "cnnlab.conf",
        *(f"cnnlab.conf.{group}" for group in find_namespace_packages("conf", exclude=NO_CODE)),
        "hydra_plugins",
    ],
    package_dir={"cnnlab.conf": "conf"},
)
