"""What one can ask of networks, data and functions, each question declared in a file of its own: being here is being asked.

The command line, `pl.`, the list in the documentation and the lab are made of these declarations. Nothing heavy is imported
before a question is asked.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import MappingProxyType

from pellucid.questions.question import QUESTIONS, Question, QuestionError, question

__all__ = ["Question", "QuestionError", "all_questions", "asked_by", "question"]


@functools.cache
def all_questions() -> MappingProxyType[str, Question]:
    """Every question by name, in the order of the alphabet."""
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        importlib.import_module(f"{__name__}.{info.name}")
    return MappingProxyType(dict(sorted(QUESTIONS.items())))


@functools.cache
def asked_by() -> MappingProxyType[str, str]:
    """The functions of Python that questions are asked by: their names, as `pl.` has them, and the module of each."""
    places = (place.split(":") for asked in all_questions().values() for place in asked.functions)
    return MappingProxyType({name: module for module, name in places})
