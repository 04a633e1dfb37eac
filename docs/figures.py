"""Draw the figures of looking_inside.md again, from the runs of `python benchmarks/zoo.py run`.

    python docs/figures.py                     # reads outputs/zoo
    python docs/figures.py --only grad_cam     # one of them

Each is what `cnnlab visualize` draws, only smaller; what it drew stays in the run.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import sklearn.datasets
from PIL import Image

FIGURES = Path(__file__).parent / "figures"
PHOTOGRAPHS = Path(sklearn.datasets.__file__).parent / "images"


@dataclass(frozen=True)
class Figure:
    """A picture of the page.

    Attributes:
        file: its name in docs/figures; the ending says how it is stored.
        width: in pixels.
        picture: which of the method's figures it is.
        method: that draws it.
        run: whose network it shows; None where the method needs none.
        options: of the method.
    """

    file: str
    width: int
    picture: str
    method: str
    run: str | None
    options: dict[str, str]


PAGE = (
    Figure(
        "deconvnet.jpg",
        820,
        "fire5_expand3x3_act.png",
        "deconvnet",
        "cats_dogs_transfer-0",
        {"layers": "[fire5_expand3x3_act]", "filters": "4"},
    ),
    Figure("grad_cam.jpg", 700, "grad_cam.png", "grad_cam", "cats_dogs_transfer-0", {"images": "[3,700]"}),
    Figure(
        "activation_max.png",
        900,
        "conv3.png",
        "activation_max",
        "mnist_cnn_best-0",
        {"layers": "[conv3]", "filters": "24"},
    ),
    Figure("class_max.jpg", 800, "class_max.png", "class_max", "airbench94-0", {}),
    Figure("occlusion.jpg", 980, "occlusion.png", "occlusion", "cats_dogs_transfer-0", {"images": "[3,700]"}),
    Figure("sanity.png", 820, "sanity.png", "sanity", "cats_dogs_best-0", {}),
    Figure(
        "style_transfer.jpg",
        900,
        "progress.png",
        "style_transfer_squeezenet",
        None,
        {
            "content": f"{PHOTOGRAPHS / 'china.jpg'}",
            "style": f"{PHOTOGRAPHS / 'flower.jpg'}",
            "size": "320",
            "iterations": "100",
            "progress_every": "34",
        },
    ),
)


def main() -> None:
    names = [Path(figure.file).stem for figure in PAGE]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("outputs/zoo"), help="that holds the runs")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    chosen = parser.parse_args()
    for figure in PAGE:
        if Path(figure.file).stem in chosen.only:
            shrink(draw(figure, chosen.folder) / figure.picture, figure.width, FIGURES / figure.file)


def draw(figure: Figure, runs: Path) -> Path:
    """The folder with the figures that the method has drawn."""
    run = [] if figure.run is None else [f"run={runs / figure.run}"]
    options = [f"method.{key}={value}" for key, value in figure.options.items()]
    command = [sys.executable, "-m", "cnnlab", "visualize", *run, f"method={figure.method}", *options]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return Path(printed.splitlines()[-1])


def shrink(source: Path, width: int, target: Path) -> None:
    """A narrower copy, in few colours where it is drawn and not photographed."""
    image = Image.open(source).convert("RGB")
    image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    if target.suffix == ".png":
        # Not by the median cut, which gives a thin line the colour of its neighbour.
        image = image.quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    target.parent.mkdir(parents=True, exist_ok=True)
    image.save(target, optimize=True, **({"quality": 85} if target.suffix == ".jpg" else {}))
    print(f"{target}: {target.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
