"""A DICOM file to a picture: header, transfer syntax, modality and display transformations."""
