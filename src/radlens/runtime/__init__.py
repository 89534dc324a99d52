"""A model folder to answers, without PyTorch: the folder, the predictor, streams of answers, files of them."""
