"""Classifiers that know what they do not know: trained on negatives, too, measured on probes, and able to say "unknown".

`sparring.NATLoss` is the criterion for anyone's loop, `sparring.ncr` the measure; `sparring.train_classifier` trains a
recipe, `sparring.load_classifier` and `sparring.predict` use what came of it, `sparring.export_classifier` takes it to
other programs.
"""
