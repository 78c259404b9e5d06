"""What HL7 v2 says: charsets, escapes, the lazy view of a message, acknowledgements, data types, outgoing messages.

No input, no output. The bytes as received are kept beside whatever is read from them.
"""
