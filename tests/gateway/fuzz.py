"""schemathesis against a gateway on a real port. Its machinery is synchronous: call it in a thread."""

from collections.abc import Collection, Mapping
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_schema_conformance

CHECKS = [not_a_server_error, response_schema_conformance]


def probe(
    document: Mapping[str, Any], url: str, tokens: Mapping[str, str], paths: Collection[str], examples: int
) -> int:
    """Sends `examples` good and as many bad requests to each of `paths`, with the path's token; the number sent.

    Raises what schemathesis finds: an answer of 500 or more, or another than the document promises.
    """
    schema = schemathesis.openapi.from_dict(dict(document))
    sent = 0
    with requests.Session() as session:
        for result in schema.get_all_operations():
            assert isinstance(result, Ok), result
            operation = result.ok()
            if operation.path not in paths:
                continue
            headers = {"Authorization": f"Bearer {tokens[operation.path]}"}
            for mode in GenerationMode:

                @settings(
                    max_examples=examples,
                    deadline=None,
                    database=None,
                    derandomize=True,
                    phases=[Phase.explicit, Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=operation.as_strategy(generation_mode=mode))
                def send(case: "schemathesis.Case[Any]") -> None:
                    nonlocal sent
                    sent += 1
                    response = case.call(base_url=url, session=session, headers=headers)  # noqa: B023
                    case.validate_response(response, checks=CHECKS)

                send()
    return sent
