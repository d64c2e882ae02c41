"""Keeps the project's own tools, which lie beside the package's modules in the root, out of what is installed."""

from setuptools import setup
from setuptools.command.build_py import build_py

TOOLS = {"noxfile", "setup"}


class PackageOnly(build_py):
    """Takes every module of a package but the tools."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Modules as (package, module, file)."""
        found = super().find_package_modules(package, package_dir)
        return [one for one in found if one[1] not in TOOLS]


setup(cmdclass={"build_py": PackageOnly})
