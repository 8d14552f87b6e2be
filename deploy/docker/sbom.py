"""`python -m deploy.docker.sbom FOLDER` writes a CycloneDX file for each image, from the lock file alone."""

import sys
from collections.abc import Mapping
from pathlib import Path

from cyclonedx.contrib.hash.factories import HashTypeFactory
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from deploy.docker.packages import REQUIREMENTS, Package, licence_of, read_packages, read_vendored


def make_bom(requirements: Path) -> Bom:
    bom = Bom(components=map(component_of, read_packages(requirements)))
    bom.components |= map(vendored_component, read_vendored(requirements.stem))
    image = Component(type=ComponentType.CONTAINER, name=f"hitok-{requirements.stem}", bom_ref="image")
    bom.metadata.component = image
    bom.register_dependency(image, bom.components)
    return bom


def component_of(package: Package) -> Component:
    purl = PackageURL("pypi", name=package.name, version=package.version)
    licence = licence_of(package.name)
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        purl=purl,
        bom_ref=str(purl),
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        hashes=[HashTypeFactory().from_composite_str(text) for text in package.hashes],
    )


def vendored_component(package: Mapping[str, str]) -> Component:
    purl = PackageURL("npm", name=package["name"], version=package["version"])
    return Component(
        type=ComponentType.LIBRARY,
        name=package["name"],
        version=package["version"],
        purl=purl,
        bom_ref=str(purl),
        licenses=[LicenseFactory().make_from_string(package["license"])],
    )


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for requirements in sorted(REQUIREMENTS.glob("*.txt")):
        file = folder / f"{requirements.stem}.json"
        file.write_text(JsonV1Dot6(make_bom(requirements)).output_as_string(indent=2))
        print(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
