"""`python -m deploy.docker.licences` prints the packages of the images and their licences."""

import sys

from deploy.docker.packages import REQUIREMENTS, licence_of, read_packages, read_vendored


def main() -> int:
    """Returns 1 if a package declares no licence."""
    used: dict[tuple[str, str], list[str]] = {}
    vendored: dict[str, str] = {}
    for file in sorted(REQUIREMENTS.glob("*.txt")):
        for package in read_packages(file):
            used.setdefault((package.name, package.version), []).append(file.stem)
        for entry in read_vendored(file.stem):
            used.setdefault((entry["name"], entry["version"]), []).append(file.stem)
            vendored[entry["name"]] = entry["license"]
    everywhere = len(list(REQUIREMENTS.glob("*.txt")))
    silent = False
    for (name, version), images in sorted(used.items()):
        licence = vendored.get(name) or licence_of(name)
        where = "all" if len(images) == everywhere else ", ".join(images)
        silent |= not licence
        print(f"{name:42} {version:12} {licence or '?':44} {where}")
    return int(silent)


if __name__ == "__main__":
    sys.exit(main())
