"""Why a request for a page or for the JSON API is refused."""

from __future__ import annotations

from engine.core.errors import PeerError


class BadParameter(PeerError):
    """WEB-110: a parameter is not one we take, or its value is not of the form named in the text."""

    code = "WEB-110"

    def __init__(self, name: str, wanted: str) -> None:
        super().__init__(f"parameter {name}: {wanted}", where=name)


class NoSuchPlace(PeerError):
    """WEB-111: there is no page and no resource at this address."""

    code = "WEB-111"

    def __init__(self) -> None:
        super().__init__("no page or resource at this address")


class MethodNotTaken(PeerError):
    """WEB-121: pages and the JSON API are read with GET."""

    code = "WEB-121"

    def __init__(self) -> None:
        super().__init__("method not allowed; read with GET")
