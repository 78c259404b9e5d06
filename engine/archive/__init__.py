"""DICOM objects on their way in: received, indexed, made durable, handed to the records."""
