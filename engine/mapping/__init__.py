"""The language of mappings/ and of `when:`: parsed and checked once, run per message. Pure.

Sources. `from: hl7v2` reads an HL7 message, or one group of its segments. `from: fhir` reads a resource as plain data;
for an order that is the ServiceRequest with one key more, `patient`, which holds the Patient it is for (see
`fhir_source.order_view`). `from: event` reads an event as plain data: event, patient, order, procedure,
step, visit, study.

Three kinds of nothing stay apart all the way: absent is `None`, written but empty is `""`, an explicit null is `NULL`.
"""
