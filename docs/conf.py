"""Sphinx builds the site from this folder: make docs. Nothing is fetched, neither to build nor to read it."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from options import write_pages

from cnnlab import __version__

write_pages()

project = "cnnlab"
author = "The cnnlab contributors"
project_copyright = "2026, The cnnlab contributors"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
highlight_language = "none"

autodoc_typehints = "signature"
napoleon_use_ivar = True
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 80
nitpicky = True
nitpick_ignore_regex = [  # types of other libraries: their documentation is elsewhere, and is not fetched
    ("py:.*", r"(argparse|collections|keras|matplotlib|np|numpy|omegaconf|pandas|pathlib|pd|tensorflow|tf|typing)\..*"),
    ("py:class", r"cnnlab\.(runs\.run\.Run|data\.dataset\.(Split|ImageFiles))"),  # not for users to make
]

html_theme = "furo"
html_title = "cnnlab"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_sphinx = False
copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"


CODE = re.compile(r"(?<!`)`([^`\n]+)`(\w?)|\*")
RETURNS = re.compile(r"^Returns:\n((?:[ ]+.*\n|\n)+)", re.MULTILINE)


def plain(app, what, name, obj, options, lines: list[str]) -> None:
    """Docstrings are plain text with code in backticks: write them as reStructuredText has it."""

    def marked(found: re.Match[str]) -> str:
        code, letter = found.groups()
        return r"\*" if code is None else f"``{code}``" + (f"\\ {letter}" if letter else "")

    # Napoleon would take for a type what stands before the first colon of what is returned.
    text = RETURNS.sub(lambda found: f":returns: {' '.join(found[1].split())}\n\n", "\n".join(lines) + "\n")
    lines[:] = CODE.sub(marked, text).splitlines()


def setup(app) -> None:
    app.connect("autodoc-process-docstring", plain, priority=400)  # before napoleon, which writes markup
