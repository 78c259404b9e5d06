"""Every bound of the engine, by name. `isthmus.yaml` may change them under `limits:`.

Source: spec/reliability.md section 9.
"""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, waits in seconds, counts plain."""

    # MLLP
    mllp_message_bytes: int = 64 * MIB
    mllp_junk_bytes: int = 1024
    mllp_silence_in_frame_s: float = 30.0
    mllp_frame_open_s: float = 120.0
    mllp_unframed_gap_s: float = 0.5
    """Silence that ends a message without frame, on listeners that take such."""
    mllp_connections: int = 256
    mllp_connections_per_address: int = 256
    mllp_pipelined_frames: int = 64
    mllp_open_frames_bytes: int = 512 * MIB
    mllp_ack_timeout_s: float = 30.0
    mllp_connect_timeout_s: float = 10.0
    # DICOM
    pdu_bytes: int = 256 * KIB
    """Maximum length we advertise and accept for one P-DATA-TF PDU."""
    associate_pdu_bytes: int = 256 * KIB
    associations: int = 64
    associations_per_ae: int = 8
    association_request_s: float = 10.0
    association_idle_s: float = 60.0
    pdu_open_s: float = 30.0
    instance_bytes: int = 4 * GIB
    command_bytes: int = 64 * KIB
    identifier_bytes: int = 1 * MIB
    """A C-FIND identifier."""
    header_bytes: int = 8 * MIB
    """How much of an incoming instance is kept in memory to be indexed."""
    dataset_depth: int = 32
    dataset_elements: int = 200_000
    worklist_matches: int = 200
    """Default of `max_results`; 0 in isthmus.yaml means no bound."""
    # HTTP
    fhir_body_bytes: int = 20 * 1000 * 1000
    json_depth: int = 64
    # engine
    waiting_units: int = 2_000
    batch_units: int = 512
    body_inline_bytes: int = 64 * KIB
    """Larger message bodies are kept as blobs."""
    validation_s: float = 60.0
    """For one message, in a worker process."""
    mapping_steps: int = 100_000
    mapping_result_bytes: int = 16 * MIB
    disk_floor_bytes: int = 2 * GIB
    disk_floor_share: float = 0.05
    shutdown_s: float = 30.0
    appointment_wait_s: float = 24 * 3600.0
    """How long an appointment waits for its order."""
    duplicate_window_s: float = 7 * 24 * 3600.0


DEFAULT_LIMITS = Limits()
