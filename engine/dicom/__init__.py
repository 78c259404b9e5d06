"""What DICOM says: data sets, text, matching and the upper layer, without input or output."""
