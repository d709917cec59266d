"""The commands of the command line as functions. Most are also in `sparring`."""

from sparring.describe import compare, load_recipe, show
from sparring.evaluation.evaluate import evaluate
from sparring.recipe.listing import recipes
from sparring.run.sample import sample, write_images

__all__ = ["compare", "evaluate", "load_recipe", "recipes", "sample", "show", "write_images"]
