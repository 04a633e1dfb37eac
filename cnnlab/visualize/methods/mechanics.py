"""`method=mechanics`: a short illustrated course on convolution; it needs neither a network nor a dataset."""

from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
from omegaconf import DictConfig

from cnnlab.config.ranges import SEED
from cnnlab.mechanics.edges import edges_chapter
from cnnlab.mechanics.filters import filters_chapter
from cnnlab.mechanics.gradients import gradients_chapter
from cnnlab.mechanics.kinds_of_convolution import kinds_chapter
from cnnlab.mechanics.memory import memory_chapter
from cnnlab.mechanics.padding import padding_chapter
from cnnlab.mechanics.page import write_page
from cnnlab.mechanics.pooling import pooling_chapter
from cnnlab.reporting.figure import save_figure


def draw_mechanics(config: DictConfig, folder: Path, *, seed: Annotated[int, SEED] = 0) -> None:
    """Write the course: index.html, one page with everything in it, and its figures as CHAPTER_FIGURE.png.

    mechanics.npz holds the arrays behind the figures, by CHAPTER/NAME.

    Args:
        config: of the command; nothing of it is used.
        folder: where to write.
        seed: of the arrays on which the gradients of a convolution are checked.
    """
    keras.config.set_dtype_policy("float32")  # whatever a network that was opened before it was trained in
    chapters = [
        filters_chapter(),
        pooling_chapter(),
        padding_chapter(),
        kinds_chapter(),
        edges_chapter(),
        gradients_chapter(seed),
        memory_chapter(),
    ]
    arrays: dict[str, Any] = {}
    for chapter in chapters:
        for name, figure in chapter.figures.items():
            title = f"{chapter.title}: {name.replace('_', ' ')}"
            save_figure(figure, folder / f"{chapter.name}_{name}.png", {"Title": title, "Seed": str(seed)})
        arrays |= {f"{chapter.name}/{name}": array for name, array in chapter.arrays.items()}
    write_page(chapters, folder)
    np.savez_compressed(folder / "mechanics.npz", **arrays)
