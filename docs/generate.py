"""Writes the parts of the documentation that the code already says: `make docs`.

All of `docs/api.md`, `docs/erasure.md` and `deploy/observability/rules.yaml`; in other files what is between two
comments: the settings in `docs/operating.md`, the list of decisions in `docs/README.md`.
"""

import re
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from docs import erasure_table
from gateway.app import ENDPOINTS
from gateway.config import SERVICE as GATEWAY
from gateway.config import GatewaySettings
from gateway.http.endpoint import Endpoint
from services.chat.config import SERVICE as CHAT
from services.chat.config import ChatSettings
from services.kit.config import ServiceSettings, Settings, variable_names
from services.media.config import SERVICE as MEDIA
from services.media.config import MediaSettings
from services.social.config import SERVICE as SOCIAL
from services.social.config import SocialSettings
from services.user.config import SERVICE as USER
from services.user.config import UserSettings

DOCS = Path(__file__).parent
OBSERVABILITY = DOCS.parent / "deploy/observability"
SERVICES: list[tuple[str, type[Settings]]] = [
    (USER, UserSettings),
    (SOCIAL, SocialSettings),
    (MEDIA, MediaSettings),
    (CHAT, ChatSettings),
    (GATEWAY, GatewaySettings),
]


def routes() -> str:
    """docs/api.md."""
    lines = [
        "# Routes",
        "",
        "`make docs` writes this page from the gateway's endpoints; `/docs` on a running gateway shows their schemas.",
        "Where a route has several paths, the first is the documented one.",
        "",
        "| method | paths | token | limit | what |",
        "|---|---|---|---|---|",
    ]
    for handler in ENDPOINTS:
        route: Endpoint[Any] = handler.opt["endpoint"]
        paths = "<br>".join(f"`{path}`" for path in route.paths)
        what = (route.function.__doc__ or "").strip().partition("\n")[0]
        lines.append(f"| {route.method} | {paths} | {'yes' if route.auth else ''} | {route.limit.text} | {what} |")
    return "\n".join(lines) + "\n"


def settings() -> str:
    """The tables of docs/operating.md: what all read, then what each service adds."""
    shared = {field.name for field in msgspec.structs.fields(ServiceSettings)}
    parts = [_table("Every process", "", Settings, set())]
    parts.append(_table("Every service with a database", "", ServiceSettings, set(_names(Settings))))
    for service, kind in SERVICES:
        inherited = shared if issubclass(kind, ServiceSettings) else set(_names(Settings))
        parts.append(_table(f"`{service}`", service, kind, inherited - _redefined(kind)))
    return "\n".join(parts)


def _names(kind: type[Settings]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(kind)]


def _redefined(kind: type[Settings]) -> set[str]:
    return set(kind.__annotations__)


def _table(title: str, service: str, kind: type[Settings], without: set[str]) -> str:
    lines = [f"### {title}", "", "| variable | default | meaning |", "|---|---|---|"]
    for field in msgspec.structs.fields(kind):
        if field.name in without:
            continue
        # A port belongs to one process: its own variable is the one to set.
        own, general = variable_names(service, field.name)
        name = own if service and field.name.endswith("_port") else general
        default = "*required*" if field.required else f"`{_text(field.default)}`" if field.default != "" else ""
        lines.append(f"| `{name}` | {default} | {_meaning(field.type)} |")
    return "\n".join(lines) + "\n"


def _text(default: object) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _meaning(kind: Any) -> str:
    metas = getattr(kind, "__metadata__", ())
    return next((meta.description for meta in metas if meta.description not in (None, UNSET)), "port to listen on")


def decisions() -> str:
    """A link to each ADR, by its title."""
    titles = {
        path: path.read_text().partition("\n")[0].removeprefix("# ") for path in sorted((DOCS / "adr").glob("*.md"))
    }
    return "".join(f"- [{title}](adr/{path.name})\n" for path, title in titles.items())


def prometheus_rule() -> str:
    """The rules of deploy/observability as the Prometheus operator takes them."""
    groups = [
        (OBSERVABILITY / name).read_text().partition("groups:\n")[2] for name in ("alerts.yml", "alerts-servers.yml")
    ]
    head = (
        "# `make docs` writes this file from alerts.yml and alerts-servers.yml.\napiVersion: monitoring.coreos.com/v1\n"
    )
    head += "kind: PrometheusRule\nmetadata:\n  name: hitok\n  labels: {app.kubernetes.io/part-of: hitok}\n"
    return head + "spec:\n  groups:\n" + re.sub("^(?=.)", "  ", "\n".join(groups), flags=re.MULTILINE)


def between(name: str, text: str, made: str) -> str:
    """`text` with `made` between the comments `<!-- name -->` and `<!-- /name -->`."""
    marks = re.compile(f"(<!-- {name} -->\n).*(<!-- /{name} -->)", re.DOTALL)
    return marks.sub(lambda found: found[1] + "\n" + made + "\n" + found[2], text)


def rendered() -> dict[Path, str]:
    """Each file as it should be."""
    operating, index = DOCS / "operating.md", DOCS / "README.md"
    return {
        DOCS / "api.md": routes(),
        DOCS / "erasure.md": erasure_table.page(),
        OBSERVABILITY / "rules.yaml": prometheus_rule(),
        operating: between("settings", operating.read_text(), settings()),
        index: between("decisions", index.read_text(), decisions()),
    }


if __name__ == "__main__":
    for path, text in rendered().items():
        path.write_text(text)
