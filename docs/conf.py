"""Sphinx configuration: `make docs` builds build/docs/html, offline, with warnings as errors."""

import os
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS / "_ext"))
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

project = "epsdelta"
author = "The epsdelta developers"
copyright = "the epsdelta developers, BSD-3-Clause licence"
version = release = installed_version("epsdelta")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_copybutton",
    "mathml",
    "figure_gallery",  # writes the gallery's scripts before sphinx_gallery reads them
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_ext", "_templates", "gallery/generated/**/*.py", "gallery/generated/**/*.ipynb"]
templates_path = ["_templates"]
nitpicky = False

# Formulas: MathML from latex2mathml, no script.
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's parameter sections say types, shapes and units
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
default_role = "py:obj"  # a name in single backticks becomes a link where it can
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "epsdelta"
html_static_path = ["_static"]
html_css_files = ["epsdelta.css"]
html_favicon = "_static/favicon.svg"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "epsdelta"},
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 6,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "github-dark",
}
# A side bar only where it leads to many pages.
html_sidebars = {name: [] for name in ("index", "development", "changelog", "user_guide/*", "theory/*", "gallery/**", "search", "genindex")}

sphinx_gallery_conf = {
    "examples_dirs": [str(ROOT / "build" / "docs" / "gallery")],
    "gallery_dirs": ["gallery/generated"],
    "filename_pattern": r"/plot_",
    "run_stale_examples": True,  # the scripts never change; the figures that they call do
    "image_scrapers": ("figure_gallery",),
    "thumbnail_size": (420, 280),
    "download_all_examples": False,
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1e9,
    "remove_config_comments": True,
    "copyfile_regex": r"^$",
    "abort_on_example_error": True,
}
