"""From weights to a folder that others can use: export, ONNX, the model card, the hub."""
