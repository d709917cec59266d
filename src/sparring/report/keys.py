"""What the library stores in its pictures, by the keys of a PNG's text. Nothing here imports torch."""

SCALE_KEY = "sparring:scale"  # how often each pixel was repeated, so that `plots.shrunk` can undo it
CLASSES_KEY = "sparring:classes"  # which classes its columns show, see `samples.Layout.described`
