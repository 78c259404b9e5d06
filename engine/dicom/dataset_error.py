"""Why a data set is refused. Texts hold positions, tags and keywords, never values."""

from __future__ import annotations

from engine.core.errors import PeerError


class UnreadableDataSet(PeerError):
    """The bytes do not follow the encoding rules of the transfer syntax.

    `may_fall_back` is whether a more forgiving reader may try: not when a limit was passed or bytes are missing.
    """

    code = "DCM-110"

    def __init__(self, *, offset: int, may_fall_back: bool = True) -> None:
        self.offset = offset
        self.may_fall_back = may_fall_back
        super().__init__(f"cannot read data set at byte {offset}")


class UidMismatch(PeerError):
    """The command names another instance than the data set, or a UID is not `[0-9.]{1,64}`."""

    code = "DCM-111"

    def __init__(self, *, where: str | None = None) -> None:
        super().__init__("UIDs of command and data set differ", where=where)


class InvalidUid(PeerError):
    """A UID is not made of 1 to 64 digits and dots."""

    code = "DCM-111"

    def __init__(self, *, where: str) -> None:
        super().__init__("not a UID", where=where)


class MissingAttribute(PeerError):
    """An attribute that every stored instance needs is absent or empty."""

    code = "DCM-112"

    def __init__(self, *, keyword: str) -> None:
        self.keyword = keyword
        super().__init__(f"{keyword} is required", where=keyword)


class InstanceTooLarge(PeerError):
    """An instance grew past the limit."""

    code = "DCM-113"

    def __init__(self, *, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(f"instance larger than {limit_bytes} bytes")


class MalformedIdentifier(PeerError):
    """A C-FIND identifier has keys where they cannot be."""

    code = "DCM-120"

    def __init__(self, text: str, *, keyword: str) -> None:
        super().__init__(text, where=keyword)


class BadKeyValue(PeerError):
    """The value of a matching key is not a range, date, time or UID list."""

    code = "DCM-121"

    def __init__(self, *, keyword: str) -> None:
        super().__init__("value of key cannot be matched", where=keyword)


class IdentifierTooLarge(PeerError):
    """A C-FIND identifier, or one of its keys, is longer than we match."""

    code = "DCM-123"

    def __init__(self, *, limit: int, where: str | None = None) -> None:
        self.limit = limit
        super().__init__(f"longer than {limit}", where=where)
