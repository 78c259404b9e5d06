"""What can be wrong with an HL7 v2 message, in words a sender can act on.

Texts carry numbers, positions and names of the standard, never a value of the message.
"""

from __future__ import annotations

from engine.core.errors import PeerError


class NotAMessage(PeerError):
    """The body does not start with MSH, or its delimiters cannot be told apart."""

    code = "HL7-101"

    def __init__(self) -> None:
        super().__init__("message must start with MSH and different delimiters")


class UndecodableBytes(PeerError):
    """The body is not written in the character set it declares."""

    code = "HL7-102"

    def __init__(self, *, offset: int, charset: str) -> None:
        self.offset = offset
        self.charset = charset
        super().__init__(f"byte {offset} is not valid {charset}", where="MSH^1^18")


class MarksWithoutEnd(PeerError):
    """A character carries more combining marks than any script has; composing them would take for ever."""

    code = "HL7-102"

    def __init__(self, *, limit: int, offset: int) -> None:
        self.offset = offset
        super().__init__(f"more than {limit} combining marks in a row after character {offset}", where="MSH^1^18")


class UnencodableText(PeerError):
    """A value of an outgoing message cannot be written in the receiver's character set."""

    code = "HL7-102"

    def __init__(self, *, where: str, charset: str) -> None:
        self.charset = charset
        super().__init__(f"value cannot be written in {charset}", where=where)


class HeadIncomplete(PeerError):
    """MSH-9 or MSH-10 is missing, so the message cannot be routed or answered by name."""

    code = "HL7-103"

    def __init__(self, *, field: int) -> None:
        self.field = field
        super().__init__(f"MSH-{field} is required", where=f"MSH^1^{field}")


class PartOfMessage(PeerError):
    """A message sent in parts: one part alone must not be applied."""

    code = "HL7-110"

    def __init__(self) -> None:
        super().__init__("a message in parts (DSC, ADD) is not taken; send it whole", where="DSC^1^1")


class InvalidValue(PeerError):
    """A field does not have the form of its data type."""

    code = "HL7-112"

    def __init__(self, *, field: str, data_type: str, where: str | None = None) -> None:
        self.data_type = data_type
        super().__init__(f"{field} is not a {data_type}", where=where)


class NoAcknowledgement(PeerError):
    """A peer answered with something that is not an acknowledgement."""

    code = "HL7-110"

    def __init__(self) -> None:
        super().__init__("MSA-1 is required", where="MSA^1^1")
