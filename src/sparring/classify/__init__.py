"""Classifiers that can answer "unknown". They are also trained on negatives, and measured on probes.

`sparring.NATLoss` is the criterion for your own loop and `sparring.ncr` the measure. `sparring.train_classifier` trains a
recipe; `sparring.load_classifier` and `sparring.predict` use the result, `sparring.export_classifier` writes it for other
programs.
"""
