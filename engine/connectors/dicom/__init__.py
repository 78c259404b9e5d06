"""DICOM over TCP: the acceptor that modalities talk to, its service classes, and the requestor that delivers."""
