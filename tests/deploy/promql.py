"""What PromQL expressions ask for: metrics, and the labels by which they are chosen and grouped.

`$name` is a variable of Grafana's.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\$\w+|[a-zA-Z_:][\w:]*|\d[\w.]*|=~|!~|!=|==|>=|<=|\S')
NAME = re.compile(r"[a-zA-Z_:][\w:]*")
OPERATORS = {"=", "!=", "=~", "!~"}
GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
KEYWORDS = {"and", "or", "unless", "bool", "offset"}


class Matcher(NamedTuple):
    label: str
    operator: str
    value: str

    def takes(self, value: str) -> bool:
        same = re.fullmatch(self.value, value) is not None if "~" in self.operator else value == self.value
        return same is not self.operator.startswith("!")


@dataclass
class Query:
    selectors: list[tuple[str, list[Matcher]]] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)  # labels in `by (…)` and its like


def read(expression: str) -> Query:
    """Raises ValueError for brackets that do not match; else what is no PromQL may pass."""
    tokens, query = TOKEN.findall(expression), Query()
    _match(expression, tokens)
    within = ""  # the braces of a selector, or the brackets of a grouping
    for at, token in enumerate(tokens):
        before, after = tokens[at - 1] if at else "", tokens[at + 1] if at + 1 < len(tokens) else ""
        if token == "{" or (token == "(" and before in GROUPING):
            within = token
        elif token in ")}":
            within = ""
        elif within == "{" and token in OPERATORS:
            query.selectors[-1][1].append(Matcher(before, token, after.strip('"')))
        elif within == "(" and NAME.fullmatch(token):
            query.groups.add(token)
        elif not within and NAME.fullmatch(token) and _is_metric(token, after):
            query.selectors.append((token, []))
    if not query.selectors:
        raise ValueError(f"no metric in {expression}")
    return query


def _is_metric(name: str, after: str) -> bool:
    return name not in GROUPING | KEYWORDS and after != "(" and after not in GROUPING


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
