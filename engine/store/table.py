"""The tables. A record's field is a column of the same name; the other tables serve the message path.

Times are microseconds since 1970 UTC, so that they sort and compare as numbers in every database.
Every id comes from one counter (`number`): a row id names one row in the whole database.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text, text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_INT = BigInteger().with_variant(Integer(), "sqlite")


def _id() -> Column[int]:
    return Column("id", _INT, primary_key=True, autoincrement=False)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=text("''"))


def _int(name: str, *, nullable: bool = False, default: int | None = None) -> Column[int]:
    return Column(name, _INT, nullable=nullable, server_default=None if default is None else text(str(default)))


def _ref(name: str, target: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, _INT, ForeignKey(f"{target}.id"), nullable=nullable)


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=True)


number = Table(
    "number",
    metadata,
    Column("name", Text, primary_key=True),
    Column("next", _INT, nullable=False),
)

patient = Table(
    "patient",
    metadata,
    _id(),
    _text("state"),
    _text("name"),
    _text("birth_date"),
    _text("sex"),
    _int("identity_unknown", default=0),
    _text("identity_reliability"),
    _int("merged_into", nullable=True),
    _int("registered_at", nullable=True),
    _int("updated_at"),
    _int("cause_id"),
    Index("ix_patient_merged_into", "merged_into", sqlite_where=text("merged_into IS NOT NULL")),
)

patient_identifier = Table(
    "patient_identifier",
    metadata,
    _id(),
    _ref("patient_id", "patient"),
    _text("value"),
    _text("issuer"),
    _text("type_code"),
    _int("is_primary", default=0),
    _int("cause_id"),
    Index("uq_patient_identifier_value_issuer", "value", "issuer", unique=True),
    Index("ix_patient_identifier_patient_id", "patient_id"),
)

visit = Table(
    "visit",
    metadata,
    _id(),
    _ref("patient_id", "patient"),
    _text("number"),
    _text("issuer"),
    Column("state", Text, nullable=False, server_default=text("'ACTIVE'")),
    _text("class_code"),
    _text("location"),
    _text("attending"),
    _text("admitted"),
    _text("discharged"),
    _int("merged_into", nullable=True),
    _int("registered_at", nullable=True),
    _int("cause_id"),
    Index("uq_visit_number_issuer", "number", "issuer", unique=True),
    Index("ix_visit_patient_id", "patient_id"),
)

patient_merge = Table(
    "patient_merge",
    metadata,
    _id(),
    _text("kind"),
    _ref("survivor_id", "patient"),
    _ref("subsumed_id", "patient"),
    _text("moved"),
    _int("at"),
    _int("undone_at", nullable=True),
    _int("cause_id"),
    Index("ix_patient_merge_survivor_id", "survivor_id"),
    Index("ix_patient_merge_subsumed_id", "subsumed_id"),
)

imaging_order = Table(
    "imaging_order",
    metadata,
    _id(),
    _ref("patient_id", "patient"),
    _text("state"),
    _text("accession_number"),
    _text("accession_issuer"),
    _text("placer_number"),
    _text("filler_number"),
    _text("priority"),
    _text("requesting_physician"),
    _text("referring_physician"),
    _text("requesting_service"),
    _text("reason"),
    _text("comments"),
    _text("admission_id"),
    _text("patient_location"),
    _text("clinical"),
    _int("placed_at"),
    _int("cause_id"),
    Index("ix_imaging_order_patient_id", "patient_id"),
    Index("ix_imaging_order_accession_number", "accession_number"),
    Index("ix_imaging_order_state", "state", "id"),
)

order_identifier = Table(
    "order_identifier",
    metadata,
    _id(),
    _ref("order_id", "imaging_order"),
    _text("kind"),
    _text("value"),
    _text("issuer"),
    Index("uq_order_identifier_value_kind_issuer", "value", "kind", "issuer", unique=True),
    Index("ix_order_identifier_order_id", "order_id"),
)

requested_procedure = Table(
    "requested_procedure",
    metadata,
    _id(),
    _ref("order_id", "imaging_order"),
    _text("rp_id"),
    _text("study_uid"),
    _int("study_uid_derived", default=0),
    _text("state"),
    _text("code"),
    _text("code_system"),
    _text("description"),
    _text("reason"),
    _text("placer_number"),
    _text("filler_number"),
    _text("comments"),
    _int("cause_id"),
    Index("ix_requested_procedure_order_id", "order_id"),
    Index("ix_requested_procedure_study_uid", "study_uid"),
)

order_replacement = Table(
    "order_replacement",
    metadata,
    _id(),
    _ref("old_id", "imaging_order"),
    _ref("new_id", "imaging_order"),
    _int("at"),
    _int("cause_id"),
    Index("ix_order_replacement_old_id", "old_id"),
    Index("ix_order_replacement_new_id", "new_id"),
)

appointment = Table(
    "appointment",
    metadata,
    _id(),
    _text("state"),
    _text("placer_number"),
    _text("placer_issuer"),
    _text("filler_number"),
    _text("filler_issuer"),
    _text("order_placer_number"),
    _text("order_filler_number"),
    _int("patient_id", nullable=True),
    _text("patient_number"),
    _int("order_id", nullable=True),
    _text("content"),
    _int("waits_until", nullable=True),
    _int("hold_id", nullable=True),
    _int("changed_at"),
    _int("cause_id"),
    Index("ix_appointment_placer_number", "placer_number"),
    Index("ix_appointment_filler_number", "filler_number"),
    Index("ix_appointment_order_placer_number", "order_placer_number"),
    Index("ix_appointment_order_filler_number", "order_filler_number"),
    Index("ix_appointment_patient_id", "patient_id"),
    Index("ix_appointment_patient_number", "patient_number"),
)

scheduled_step = Table(
    "scheduled_step",
    metadata,
    _id(),
    _ref("procedure_id", "requested_procedure"),
    _text("sps_id"),
    _text("state"),
    _text("modality"),
    _text("station_aes"),
    _text("station_name"),
    _text("location"),
    _text("start"),
    _int("start_assumed", default=0),
    _text("description"),
    _text("protocol_code"),
    _text("protocol_system"),
    _text("protocol_text"),
    _text("performing_physician"),
    _text("missing"),
    _int("cause_id"),
    Index("ix_scheduled_step_procedure_id", "procedure_id"),
)

worklist_item = Table(
    "worklist_item",
    metadata,
    Column("step_id", _INT, ForeignKey("scheduled_step.id"), primary_key=True, autoincrement=False),
    _int("patient_row"),
    _int("visible"),
    _text("patient_id"),
    _text("accession_number"),
    _text("rp_id"),
    _text("study_uid"),
    _text("sps_id"),
    _text("modality"),
    _text("station_aes"),
    _text("start_date"),
    _text("start_time"),
    _bytes("attributes"),
    Index("ix_worklist_item_start_date", "visible", "start_date", "start_time"),
    Index("ix_worklist_item_patient_id", "patient_id"),
    Index("ix_worklist_item_accession_number", "accession_number"),
    Index("ix_worklist_item_study_uid", "study_uid"),
    Index("ix_worklist_item_rp_id", "rp_id"),
    Index("ix_worklist_item_sps_id", "sps_id"),
    Index("ix_worklist_item_patient_row", "patient_row"),
)

worklist_listing = Table(
    "worklist_listing",
    metadata,
    Column("step_id", _INT, ForeignKey("scheduled_step.id"), primary_key=True, autoincrement=False),
    Column("calling_ae", Text, primary_key=True),
    _int("first_at"),
)

study = Table(
    "study",
    metadata,
    _id(),
    _text("study_uid"),
    _text("state"),
    _int("patient_id", nullable=True),
    _text("dicom_patient_id"),
    _text("dicom_issuer"),
    _text("dicom_name"),
    _text("dicom_birth_date"),
    _text("dicom_sex"),
    _text("accession_number"),
    _text("accession_issuer"),
    _text("dicom_study_id"),
    _text("study_date"),
    _text("study_time"),
    _text("description"),
    _text("modalities"),
    _text("source_ae"),
    _int("series_count", default=0),
    _int("instance_count", default=0),
    _int("first_received_at"),
    _int("last_received_at"),
    _int("quiet_due_at", nullable=True),
    _int("completed_at", nullable=True),
    _int("completions", default=0),
    _int("cause_id"),
    Index("uq_study_study_uid", "study_uid", unique=True),
    Index("ix_study_quiet_due_at", "quiet_due_at", sqlite_where=text("quiet_due_at IS NOT NULL")),
    Index("ix_study_accession_number", "accession_number"),
    Index("ix_study_dicom_patient_id", "dicom_patient_id"),
    Index("ix_study_patient_id", "patient_id"),
    Index("ix_study_state", "state", "id"),
)

series = Table(
    "series",
    metadata,
    _id(),
    _ref("study_id", "study"),
    _text("series_uid"),
    _text("modality"),
    _text("number"),
    _text("description"),
    _int("instance_count", default=0),
    _int("cause_id"),
    Index("uq_series_study_id_series_uid", "study_id", "series_uid", unique=True),
)

instance = Table(
    "instance",
    metadata,
    _id(),
    _ref("series_id", "series"),
    _ref("study_id", "study"),
    _text("sop_uid"),
    _text("sop_class"),
    _text("transfer_syntax"),
    _text("number"),
    _text("blob"),
    _int("size_bytes"),
    _int("served", default=1),
    _int("received_at"),
    _int("cause_id"),
    Index("ix_instance_sop_uid", "sop_uid"),
    Index("ix_instance_series_id", "series_id"),
    Index("ix_instance_study_id", "study_id"),
    Index("ix_instance_blob", "blob"),
)

link = Table(
    "link",
    metadata,
    _id(),
    _ref("procedure_id", "requested_procedure"),
    _ref("study_id", "study"),
    _text("rule"),
    _text("reason"),
    _text("evidence"),
    _text("linked_by"),
    _int("at"),
    _int("undone_at", nullable=True),
    _int("cause_id"),
    Index("ix_link_procedure_id", "procedure_id"),
    Index("ix_link_study_id", "study_id"),
)

report = Table(
    "report",
    metadata,
    _id(),
    _text("state"),
    _int("version", default=1),
    _text("title"),
    _text("code"),
    _text("code_system"),
    _text("issued"),
    _int("patient_id", nullable=True),
    _text("said_name"),
    _text("said_birth_date"),
    _text("said_sex"),
    _text("sender"),
    _int("parent_missing", default=0),
    _int("newer_images_at", nullable=True),
    _int("received_at"),
    _int("changed_at"),
    _int("cause_id"),
    Index("ix_report_patient_id", "patient_id"),
    Index("ix_report_state", "state", "id"),
)

report_version = Table(
    "report_version",
    metadata,
    _id(),
    _ref("report_id", "report"),
    _int("number"),
    _text("state"),
    _text("text"),
    _text("content"),
    _int("is_late", default=0),
    _text("issued"),
    _text("observed"),
    _text("interpreter"),
    _text("assistant"),
    _text("author"),
    _int("at"),
    _int("cause_id"),
    Index("uq_report_version_report_id_number", "report_id", "number", unique=True),
)

report_attachment = Table(
    "report_attachment",
    metadata,
    _id(),
    _ref("report_id", "report"),
    _ref("version_id", "report_version"),
    _int("position"),
    _text("title"),
    _text("media_type"),
    _text("said_type"),
    _text("pointer"),
    _text("blob"),
    _int("size_bytes"),
    Index("ix_report_attachment_version_id", "version_id"),
    Index("ix_report_attachment_blob", "blob"),
)

report_identifier = Table(
    "report_identifier",
    metadata,
    _id(),
    _ref("report_id", "report"),
    _text("kind"),
    _text("value"),
    _text("issuer"),
    Index("ix_report_identifier_value", "value", "kind"),
    Index("ix_report_identifier_report_id", "report_id"),
)

report_link = Table(
    "report_link",
    metadata,
    _id(),
    _ref("report_id", "report"),
    _int("procedure_id", nullable=True),
    _int("study_id", nullable=True),
    _text("rule"),
    _text("reason"),
    _text("evidence"),
    _text("linked_by"),
    _int("at"),
    _int("undone_at", nullable=True),
    _int("cause_id"),
    Index("ix_report_link_report_id", "report_id"),
    Index("ix_report_link_procedure_id", "procedure_id"),
    Index("ix_report_link_study_id", "study_id"),
)

hold = Table(
    "hold",
    metadata,
    _id(),
    _text("code"),
    _text("danger"),
    _text("state"),
    _text("reason"),
    _text("evidence"),
    _int("patient_id", nullable=True),
    _int("order_id", nullable=True),
    _int("step_id", nullable=True),
    _int("study_id", nullable=True),
    _int("report_id", nullable=True),
    _int("message_id", nullable=True),
    _int("raised_at"),
    _int("resolved_at", nullable=True),
    _text("resolution"),
    _int("cause_id"),
    Index("ix_hold_state", "state", "raised_at"),
    Index("ix_hold_order_id", "order_id"),
    Index("ix_hold_study_id", "study_id"),
    Index("ix_hold_report_id", "report_id"),
)

event = Table(
    "event",
    metadata,
    _id(),
    _text("name"),
    _int("at"),
    _int("patient_id", nullable=True),
    _int("order_id", nullable=True),
    _int("procedure_id", nullable=True),
    _int("step_id", nullable=True),
    _int("study_id", nullable=True),
    _int("report_id", nullable=True),
    _text("detail"),
    _text("cause_kind"),
    _int("cause_id"),
    Index("ix_event_order_id", "order_id"),
    Index("ix_event_study_id", "study_id"),
    Index("ix_event_report_id", "report_id", sqlite_where=text("report_id IS NOT NULL")),
    Index("ix_event_cause_id", "cause_id"),
)

message = Table(
    "message",
    metadata,
    _id(),
    _int("received_at"),
    _text("kind"),
    _text("listener"),
    _text("peer"),
    _text("sender"),
    _text("control_id"),
    _text("message_type"),
    _bytes("body"),
    _text("body_blob"),
    _int("size_bytes"),
    _text("sha256"),
    _text("state"),
    _text("code"),
    _text("text"),
    _text("place"),
    _bytes("answer"),
    _text("routes"),
    _text("revision"),
    _text("validation"),
    Index("ix_message_control_id", "control_id"),
    Index("ix_message_received_at", "received_at"),
    Index("ix_message_state", "state", "received_at"),
    Index("ix_message_body_blob", "body_blob", sqlite_where=text("body_blob != ''")),
)

delivery = Table(
    "delivery",
    metadata,
    _id(),
    _text("route"),
    _text("kind"),
    _text("destination"),
    _text("lane"),
    _text("control_id"),
    _bytes("body"),
    _text("state"),
    _int("attempts", default=0),
    _int("created_at"),
    _int("due_at"),
    _int("give_up_at", nullable=True),
    _int("first_tried_at", nullable=True),
    _int("last_tried_at", nullable=True),
    _text("answer_code"),
    _text("answer_text"),
    _bytes("answer"),
    _int("event_id", nullable=True),
    _int("order_id", nullable=True),
    _int("study_id", nullable=True),
    _text("event_name"),
    Index("ix_delivery_open", "destination", "state", "id"),
    Index("ix_delivery_order_id", "order_id"),
    Index("ix_delivery_state", "state", "created_at"),
    Index("ix_delivery_event_id", "event_id"),
)

resource_version = Table(
    "resource_version",
    metadata,
    _id(),
    _text("resource_type"),
    _text("logical_id"),
    _int("version"),
    _bytes("body"),
    _int("order_id", nullable=True),
    _int("patient_id", nullable=True),
    _int("at"),
    _int("cause_id"),
    Index("uq_resource_version_type_id_version", "resource_type", "logical_id", "version", unique=True),
    Index("ix_resource_version_order_id", "order_id"),
)
