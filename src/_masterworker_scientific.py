"""Finds our part of the package `Scientific` beside another one of that name.

`Scientific` is shared: ours is a namespace package, which has no file of its own. But a regular
package of that name, anywhere on the import path, hides all namespace packages: a ported
ScientificPython, or a stub with one module. So what is not found elsewhere below that name is
looked for in those, too. The file `masterworker_scientific.pth` imports this module whenever Python
starts, so it imports nothing that is not there already.
"""

import os
import sys

_NAME = "Scientific"


class Finder:
    """Is asked last of all, and answers for modules below `Scientific` only."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):  # noqa: ANN001, ANN206, ARG003
        """Look in those folders named `Scientific` that a regular package has hidden."""
        if not fullname.startswith(_NAME + "."):
            return None
        from importlib.machinery import PathFinder

        places = [os.path.join(entry or ".", _NAME) for entry in sys.path]  # noqa: PTH118
        within = fullname.split(".")[1:-1]
        hidden = [p for p in places if not os.path.exists(f"{p}/__init__.py")]  # noqa: PTH110
        return PathFinder.find_spec(fullname, [os.path.join(p, *within) for p in hidden], target)  # noqa: PTH118


if Finder not in sys.meta_path:
    sys.meta_path.append(Finder)
