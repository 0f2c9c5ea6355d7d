"""R's serialize() format: read, write, or look over without building anything."""

from rinterop.serialize.header import Header, read_header
from rinterop.serialize.reader import loads
from rinterop.serialize.speed import accelerated
from rinterop.serialize.walk import Outline, outline, walk
from rinterop.serialize.writer import dumps

__all__ = ["Header", "Outline", "accelerated", "dumps", "loads", "outline", "read_header", "walk"]
