"""What a person can do about a hold, in a sentence or two.

The engine looks at held studies again whenever an order or a patient becomes known or changes, so most advice is to
mend the cause where it arose. Source: spec/reconcile.md sections 5.1 and 9.
"""

from __future__ import annotations

from engine.records.state import Danger

_ADVICE = {
    "patient_conflict": "Compare both descriptions. If it is the same person, correct the wrong one where it is kept "
    "(registration, or at the modality); the next message or image is then looked at again.",
    "identifiers_of_several_patients": "Ask registration which of these patients is meant, and have them merge the "
    "records or correct the identifiers.",
    "order_of_another_patient": "Ask the sender of the order whether it reused an order number or sent the wrong "
    "patient. The order that was here first is unchanged.",
    "numbers_of_several_orders": "Ask the sender which order is meant; its placer, filler and accession number lead to "
    "different ones. Nothing was changed.",
    "uid_of_another_patient": "Do not read these images under either patient yet. Probably the wrong worklist entry "
    "was chosen: check with the department that acquired them, then send them again under the right patient.",
    "accession_of_another_patient": "Do not read these images under either patient yet. Check with the department that "
    "acquired them whether the wrong worklist entry was chosen, then send them again under the right patient.",
    "uid_shared_by_unrelated_orders": "The ordering system gave one Study Instance UID to two orders. Have it send the "
    "second order with a UID of its own, or without one.",
    "patient_id_of_several_issuers": "Several hospitals use this patient ID. Set `default_issuer` for the listener "
    "that the images came to, or the Issuer of Patient ID at the modality.",
    "patient_id_missing": "The modality sent no patient ID. Correct it there and send the images again.",
    "patient_id_differs_from_order": "Compare the patient of the images with the patient of the order. If it is the "
    "same person, have the HIS register the images' ID for that patient (ADT A08 with both IDs, or a merge): the study "
    "then links by itself. If it is another person, have the right order placed for that person.",
    "uid_and_accession_of_different_orders": "Ask the department which of the two examinations was done, and correct "
    "the images at the modality.",
    "several_procedures_fit": "Ask the department which procedure was done. Choosing the worklist entry at the "
    "modality instead of typing avoids this.",
    "order_cancelled": "Images exist for an order that was cancelled. If the examination was done, have the order "
    "placed again; if not, reject the images.",
    "modality_differs_from_order": "Check whether the accession number was typed by hand at the wrong examination, or "
    "whether the order names the wrong modality.",
    "accession_recycled": "The ordering system seems to use its accession numbers again. Check whether these images "
    "belong to a new order that has not arrived yet.",
    "internally_inconsistent": "Images of different examinations were sent under one Study Instance UID. Check at the "
    "modality which ones do not belong there before anybody reads the study.",
    "instance_header_differs": "The first copy stays in use. Check whether the second one is a correction that should "
    "have a new SOP Instance UID.",
    "uid_collision": "Two different images have one SOP Instance UID. The first is in use, the second is kept aside: "
    "have the sender's software checked.",
    "step_incomplete": "Add the procedure code to mappings/tables/procedures.csv with a modality and a station group, "
    "or have the sender say what is missing; then send the order again.",
    "merge_reversed": "The same two were merged before, the other way round. Ask registration which one stays; if the "
    "first merge was wrong, it has to be undone before anything else is sent for either.",
    "merged_elsewhere": "Ask registration: the record that is to be merged belongs to a third patient already.",
    "identifiers_moved": "Registration wants identifiers moved from one patient to another. Find out which "
    "examinations went by them; nothing was moved.",
    "visit_of_another_patient": "Ask registration whose visit this is. Nothing was changed.",
    "visit_has_images": "The visit has images or reports. Find out whether they are of the patient it is to go to, "
    "then have the orders changed one by one.",
    "accession_of_both_patients": "Two records of one person were merged, and both have images under this accession "
    "number. Find out whether it is one examination or two before anybody reads them together.",
    "uid_of_both_patients": "Two records of one person were merged, and both have an order under this Study Instance "
    "UID. Have the second order sent again with a UID of its own.",
    "report_orphaned": "Nothing is wrong yet: reports often come before their order. If the order is here, compare "
    "the numbers of the report with those of the order, and have the sender use the same.",
    "report_patient_conflict": "Do not read this report under either patient yet. Compare both descriptions and have "
    "the wrong one corrected; the report is then looked at again.",
    "report_of_another_patient": "Do not read this report under either patient yet. Ask its sender whether it was "
    "written for the wrong patient, and have it withdrawn or sent again.",
    "report_study_of_another_patient": "Do not read this report under either patient yet. Ask its sender which "
    "examination was reported.",
    "report_of_held_study": "Decide about the images first: they may be those of another patient. The report is "
    "looked at again when they are linked.",
    "report_numbers_of_several_orders": "Ask the sender which order was reported; filler and accession number lead to "
    "different ones.",
    "report_for_cancelled_order": "A report came for an order that was cancelled. If the examination was done, have "
    "the order placed again.",
    "report_parent_unknown": "An addendum came without the report it belongs to. Have the sender send that report.",
    "report_out_of_order": "The newer version stays in use. Check that the sender did not mean to take a final report "
    "back.",
    "report_withdrawn": "Nobody answers for the report of this order any more. Have the examination read again.",
    "order_replaced_after_start": "Images exist for an order that was replaced. If they belong to the new order, move "
    "them there.",
    "appointment_without_order": "Nothing to do if the order comes within a day; the appointment is applied then. Else "
    "ask the scheduling department which order it is for.",
    "appointment_of_another_patient": "Ask the scheduling department whether it booked the right patient. The order is "
    "unchanged.",
    "appointment_of_which_step": "Ask the scheduling department which procedure of the order is meant, and have its "
    "service code sent in AIS-3.",
    "notice_not_made": "The named route or its mapping failed. Mend it, then replay.",
}
_BY_DANGER = {
    Danger.RED: "This may be the wrong patient. Compare both sides before anybody uses the images or the order.",
    Danger.AMBER: "This may be the wrong procedure. Decide with the department that did the examination.",
    Danger.YELLOW: "Nothing is stopped. Have the cause mended when there is time.",
}


def advice_for(code: str, danger: Danger) -> str:
    """Return what to do about a hold."""
    if code not in _ADVICE and code.startswith("order_") and "_after_" in code:
        return "The order has gone too far for this by itself. Decide with the department, then change the order there."
    return _ADVICE.get(code, _BY_DANGER[danger])
