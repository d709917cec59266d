"""Settings of the documentation site, which scripts/docs builds."""

from pathlib import Path

from sparring import __version__

project = "sparring"
author = "The Sparring developers"
copyright = author
release = version = __version__
language = "en"

extensions = ["myst_parser"]
myst_enable_extensions = ["html_image", "attrs_block"]
myst_heading_anchors = 4
python_maximum_signature_line_length = 80
toc_object_entries = False
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types in signatures are not links

html_theme = "furo"
html_title = f"sparring {release}"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_static_path = [str(Path(__file__).parent / "_static")]
html_css_files = ["site.css"]
pygments_style = "default"
pygments_dark_style = "github-dark"
