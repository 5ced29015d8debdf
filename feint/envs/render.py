"""Pictures of games: a scenario lists shapes, this file puts them on a screen, in an array or text.

Needs the `render` extra (pygame-ce) for "rgb_array" and "human"; "ansi" needs nothing.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled

Colour = tuple[int, int, int]

INK: Colour = (33, 37, 41)
PAPER: Colour = (250, 250, 248)
GREY: Colour = (173, 181, 189)
PALE: Colour = (222, 226, 230)
RED: Colour = (214, 69, 65)
BLUE: Colour = (47, 106, 189)
GREEN: Colour = (56, 142, 60)
AMBER: Colour = (224, 142, 11)


@dataclass(frozen=True)
class Shape:
    """One thing to draw; coordinates in [0, 1], x to the right and y upwards.

    Attributes:
        kind: "circle" (points: centre; size: radius), "line" (two points; size: width), "box"
            (lower left and upper right), "text" (points: centre; size: height).
        points: (x, y) pairs.
        colour: RGB, 0-255.
        size: in units of the picture's width.
        text: what a "text" says.
        filled: circles and boxes only.
    """

    kind: str
    points: tuple[tuple[float, float], ...]
    colour: Colour = INK
    size: float = 0.01
    text: str = ""
    filled: bool = True


@dataclass
class Picture:
    """What one moment of one game looks like."""

    shapes: list[Shape] = field(default_factory=list)
    ansi: str = ""

    def circle(self, x: float, y: float, radius: float, colour: Colour, filled=True) -> None:
        """Add a disc, or a ring."""
        self.shapes.append(Shape("circle", ((x, y),), colour, radius, filled=filled))

    def line(self, start: Any, end: Any, colour: Colour, width: float = 0.006) -> None:
        """Add a line between two (x, y) points."""
        self.shapes.append(Shape("line", (tuple(start), tuple(end)), colour, width))

    def box(self, low: Any, high: Any, colour: Colour, filled=True) -> None:
        """Add a rectangle, by lower left and upper right corner."""
        self.shapes.append(Shape("box", (tuple(low), tuple(high)), colour, filled=filled))

    def text(self, x: float, y: float, text: str, colour: Colour = INK, size=0.04) -> None:
        """Add a line of text, centred at (x, y)."""
        self.shapes.append(Shape("text", ((x, y),), colour, size, text))


def _pygame() -> Any:
    try:
        import pygame
        import pygame.gfxdraw
    except ImportError as error:
        raise DependencyNotInstalled(
            'rendering needs pygame-ce: pip install "feint[render]"'
        ) from error
    return pygame


def to_array(picture: Picture, size: int = 480) -> np.ndarray:
    """The picture as (size, size, 3) uint8."""
    pygame = _pygame()
    surface = pygame.Surface((size, size))
    _paint(pygame, surface, picture, size)
    return np.ascontiguousarray(pygame.surfarray.array3d(surface).transpose(1, 0, 2))


def caption(text: str, width: int, height: int) -> np.ndarray:
    """One centred line of text as (height, width, 3) uint8, to put above a picture."""
    pygame = _pygame()
    pygame.font.init()
    surface = pygame.Surface((width, height))
    surface.fill(PAPER)
    label = pygame.font.Font(None, round(0.95 * height)).render(text, True, INK)
    surface.blit(label, label.get_rect(center=(width // 2, height // 2)))
    return np.ascontiguousarray(pygame.surfarray.array3d(surface).transpose(1, 0, 2))


def _paint(pygame: Any, surface: Any, picture: Picture, size: int) -> None:
    if not pygame.font.get_init():
        pygame.font.init()
    surface.fill(PAPER)
    for shape in picture.shapes:
        points = [(round(x * size), round((1.0 - y) * size)) for x, y in shape.points]
        width = max(1, round(shape.size * size))
        if shape.kind == "circle":
            (x, y), gfx = points[0], pygame.gfxdraw
            if shape.filled:
                gfx.filled_circle(surface, x, y, width, shape.colour)
            gfx.aacircle(surface, x, y, width, shape.colour)
        elif shape.kind == "line":
            pygame.draw.line(surface, shape.colour, *points, width=width)
        elif shape.kind == "box":
            (x0, y0), (x1, y1) = points
            frame = 0 if shape.filled else 2
            rectangle = pygame.Rect(x0, y1, x1 - x0, y0 - y1)
            pygame.draw.rect(surface, shape.colour, rectangle, frame, border_radius=4)
        else:
            font = pygame.font.Font(None, round(1.4 * shape.size * size))
            label = font.render(shape.text, True, shape.colour)
            surface.blit(label, label.get_rect(center=points[0]))


class Screen:
    """Shows pictures in one render mode: None, "ansi", "rgb_array" or "human" (a window)."""

    def __init__(self, mode: str | None, fps: int) -> None:
        if mode not in (None, "ansi", "rgb_array", "human"):
            raise ValueError(
                f"render_mode must be None, 'ansi', 'rgb_array' or 'human', got {mode!r}"
            )
        self.mode, self.fps = mode, fps
        self._window = self._clock = None

    def show(self, picture: Picture) -> Any:
        """Draw: returns text ("ansi"), an array ("rgb_array") or nothing ("human")."""
        if self.mode is None:
            raise ValueError("render() needs a render_mode: pass one to make(), as 'rgb_array'")
        if self.mode == "ansi":
            return picture.ansi
        if self.mode == "rgb_array":
            return to_array(picture)
        pygame = _pygame()
        if self._window is None:
            pygame.display.init()
            self._window = pygame.display.set_mode((480, 480))
            self._clock = pygame.time.Clock()
        _paint(pygame, self._window, picture, 480)
        pygame.event.pump()
        pygame.display.flip()
        assert self._clock is not None
        self._clock.tick(self.fps)
        return None

    def close(self) -> None:
        """Close the window; may be called twice."""
        if self._window is not None:
            _pygame().display.quit()
            self._window = None
