"""Map the top-level folders to sub-packages of ``govpost`` (see pyproject.toml for everything else).

The folders are fixed at the top of the repository, but ``schemas`` or ``mocks`` as import names would be
shadowed by any application that has a package of that name. So each folder is shipped as ``govpost.<folder>``.
"""

from setuptools import find_packages, setup

FOLDERS = ("schemas", "adapters", "gateway", "mocks", "tests.conformance")

packages = ["govpost"]
for folder in FOLDERS:
    path = folder.replace(".", "/")
    packages += [f"govpost.{folder}"]
    packages += [f"govpost.{folder}.{name}" for name in find_packages(path)]

# The root package's folder is this one; the name keeps this script out of it.
setup(packages=packages, script_name="setup.py")
