"""HL7 v2 over MLLP, in and out: frames, the listener, the sender.

Source: HL7 Transport Specification: MLLP, Release 1.
"""
