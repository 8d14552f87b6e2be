"""What PromQL expressions ask for: metrics, and the labels by which they are chosen and grouped.

`$name` is a variable of Grafana's.
"""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\$\w+|[a-zA-Z_:][\w:]*|\d[\w.]*|=~|!~|!=|==|>=|<=|\S')
NAME = re.compile(r"[a-zA-Z_:][\w:]*")
GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
KEYWORDS = {"and", "or", "unless", "bool", "offset"}


@dataclass
class Query:
    selectors: list[tuple[str, set[str]]] = field(default_factory=list)  # the metric, and its labels in braces
    groups: set[str] = field(default_factory=set)  # labels in `by (…)` and its like


def read(expression: str) -> Query:
    """Raises ValueError for brackets that do not match; else what is no PromQL may pass."""
    tokens, query = TOKEN.findall(expression), Query()
    _match(expression, tokens)
    labels: set[str] | None = None  # of the list or the selector that is being read
    for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        if token == "{":
            labels = query.selectors[-1][1]
        elif token == "(" and before in GROUPING:
            labels = query.groups
        elif token in ")}":
            labels = None
        elif NAME.fullmatch(token) and token not in GROUPING | KEYWORDS:
            if labels is not None:
                labels.add(token)
            elif after != "(" and after not in GROUPING:
                query.selectors.append((token, set()))
    if not query.selectors:
        raise ValueError(f"no metric in {expression}")
    return query


def _match(expression: str, tokens: list[str]) -> None:
    waiting = ""
    for token in tokens:
        if token in "([{":
            waiting += token
        elif token in ")]}":
            if waiting[-1:] + token not in ("()", "[]", "{}"):
                raise ValueError(f"{token} in {expression}")
            waiting = waiting[:-1]
    if waiting:
        raise ValueError(f"{waiting} in {expression}")
