"""The verbs of the command line as functions, which `sparring` itself has too."""

from sparring.describe import compare, load_recipe, show
from sparring.evaluation.evaluate import evaluate
from sparring.recipe.listing import recipes
from sparring.run.sample import sample, write_images

__all__ = ["compare", "evaluate", "load_recipe", "recipes", "sample", "show", "write_images"]
