"""Redraw docs/_static/flights.svg, the picture of the README and of the site's first page: python docs/readme_picture.py."""

from pathlib import Path

from experiments import figures

FIGURE = "lp_embeddings/flights_quantile_error"


def main() -> None:
    """Compute the figure with its quick parameters and copy the SVG."""
    made = figures.make(figures.find(FIGURE)[0], tier="quick", out=Path("build/figures"))
    Path(__file__).with_name("_static").joinpath("flights.svg").write_text(made.svg, encoding="utf-8")
    print(made.record["answer"])


if __name__ == "__main__":
    main()
