"""What a site may say about MLLP listeners and destinations, and what is refused word for word."""

from pathlib import Path

import pytest

from engine.config.site import Site, SiteRejected, load_site
from tests.peers.authority import Authority

REMEDY = "; add tls, or say allow_plaintext: true and list allow_from"


def loaded(folder: Path, text: str) -> Site:
    (folder / "isthmus.yaml").write_text(text)
    return load_site(folder, environ={})


def findings(folder: Path, text: str) -> list[str]:
    with pytest.raises(SiteRejected) as raised:
        loaded(folder, text)
    return [str(finding) for finding in raised.value.findings]


def test_everything_a_listener_may_say(tmp_path: Path) -> None:
    site = loaded(
        tmp_path,
        """
listeners:
  mllp:
    his:
      host: 0.0.0.0
      port: 0
      allow_plaintext: true
      allow_from: [10.1.2.0/24, 10.9.9.9, "fd00::/8"]
      default_charset: [8859/15, GB 18030-2000]
      end_block: lenient
      allow_unframed: true
      accept_eof_as_end: true
      max_message: 20MiB
      batch_answer: batch
      blank_ack_condition: AL
destinations:
  mllp:
    ris: {host: ris.test, ack_match: prefix, tls: {server_name: ris.example, minimum: 1.3}}
""",
    )
    listener, destination = site.settings.listeners.mllp["his"], site.settings.destinations.mllp["ris"]

    assert listener.allow_from == ("10.1.2.0/24", "10.9.9.9", "fd00::/8")
    assert listener.default_charset == "8859/15~GB 18030-2000"
    assert (listener.allow_unframed, listener.accept_eof_as_end, listener.max_message) == (True, True, 20 * 2**20)
    assert (listener.batch_answer, listener.blank_ack_condition) == ("batch", "AL")
    assert destination.tls is not None
    assert (destination.ack_match, destination.tls.server_name, destination.tls.minimum) == (
        "prefix",
        "ris.example",
        "1.3",
    )


def test_what_is_not_said_is_strict(tmp_path: Path) -> None:
    listener = loaded(tmp_path, "").settings.listeners.mllp["his"]

    assert (listener.tls, listener.allow_from, listener.default_charset) == (None, None, None)
    assert (listener.end_block, listener.allow_unframed, listener.accept_eof_as_end) == ("strict", False, False)


@pytest.mark.parametrize(
    ("said", "column", "code", "text"),
    [
        (
            "{host: 0.0.0.0}",
            32,
            "CFG-201",
            "'listeners.mllp.his' listens on 0.0.0.0 without TLS" + REMEDY,
        ),
        (
            "{host: his.test, allow_plaintext: true}",
            32,
            "CFG-201",
            "'listeners.mllp.his' listens on his.test without TLS" + REMEDY,
        ),
        (
            "{default_charset: KLINGON}",
            43,
            "CFG-106",
            "'listeners.mllp.his.default_charset' must be a character set of HL7 table 0211, for example 8859/1",
        ),
        (
            "{allow_from: [10.1.2.3/240]}",
            39,
            "CFG-106",
            "'listeners.mllp.his.allow_from[0]' must be an address or network, for example 10.1.2.0/24",
        ),
        ("{max_message: 1B}", 39, "CFG-107", "'listeners.mllp.his.max_message' must be 1024 or more"),
        ("{tls: {certificate: c.pem}}", 31, "CFG-105", "'listeners.mllp.his.tls.key' is required"),
        (
            "{tls: {certificate: c.pem, key: k.pem, minimum: '1.1'}}",
            74,
            "CFG-106",
            "'listeners.mllp.his.tls.minimum' must be one of '1.2' or '1.3'",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, said: str, column: int, code: str, text: str) -> None:
    found = findings(tmp_path, f"listeners: {{mllp: {{his: {said}}}}}")
    assert found == [f"isthmus.yaml:1:{column}: error {code}: {text}"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_tls(tmp_path: Path, host: str) -> None:
    assert loaded(tmp_path, f"listeners: {{mllp: {{his: {{host: '{host}'}}}}}}").findings == ()


def test_a_certificate_that_is_not_on_this_machine_is_a_warning(tmp_path: Path) -> None:
    text = "listeners: {mllp: {his: {host: 0.0.0.0, tls: {certificate: c.pem, key: k.pem}}}}"
    (warning,) = loaded(tmp_path, text).findings

    assert (warning.severity, warning.code, warning.line) == ("warning", "CFG-205", 1)
    assert warning.text == f"'{tmp_path / 'k.pem'}' cannot be used for TLS: there is no such file"


def test_a_key_that_others_can_read_is_an_error(tmp_path: Path) -> None:
    pair = Authority(tmp_path).sign("engine")
    text = "listeners: {mllp: {his: {tls: {certificate: engine.pem, key: engine.key}}}}"
    assert loaded(tmp_path, text).findings == ()

    pair.key.chmod(0o644)

    (error,) = findings(tmp_path, text)
    assert error == f"isthmus.yaml:1:31: error CFG-206: '{pair.key}' can be read by others; give it mode 0600"


def test_a_certificate_without_its_key_is_an_error(tmp_path: Path) -> None:
    text = "destinations: {mllp: {ris: {tls: {certificate: c.pem}}}}"
    (error,) = findings(tmp_path, text)
    assert error.endswith("'destinations.mllp.ris.tls' must be a section with both certificate and key, or neither")
