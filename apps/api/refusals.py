"""What every resource of the API may refuse, said in its OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

_REFUSALS: Final = {
    "400": "The request breaks a rule; the answer names it, or the field at fault.",
    "401": "Sign in first.",
    "403": "This caller may not do this.",
    "404": "Nothing by that name.",
    "406": "None of the accepted media types can be made.",
    "429": "Too many failed sign-ins; try again later.",
    "503": "Not just now; try again soon.",
}
_OF_WRITING: Final = {
    "409": "The state of what is there does not allow it.",
    "411": "The length of the body is missing.",
    "413": "The body is too long.",
    "415": "The body is of a type that is not taken here.",
    "507": "There is no room for it.",
}
_OF_OTHERS: Final = {
    "502": "The other archive refused, failed or could not be reached.",
    "504": "The other archive did not answer.",
}
_OTHERS: Final = ("/api/peers/{", "/api/archives/{")
_METHODS: Final = frozenset({"get", "put", "post", "patch", "delete"})


def document_refusals(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: adds the refusals that the views do not name themselves."""
    for path, operations in result["paths"].items():
        for method in _METHODS & operations.keys():
            responses = operations[method]["responses"]
            said = _REFUSALS if method == "get" else {**_REFUSALS, **_OF_WRITING}
            if path.startswith(_OTHERS):
                said = {**said, **_OF_OTHERS}
            for status, sentence in said.items():
                responses.setdefault(status, {"description": sentence})
    return result
