"""One measurement for several sizes: kept, shown as a table, drawn."""

from dataclasses import dataclass, field

from benchmarks import plots
from benchmarks.report import number


@dataclass
class Curves:
    """What a cost is for growing sizes.

    Args:
        name: Of the plot's file.
        title: What is shown.
        x_label: What grows, with its unit.
        y_label: The cost, with its unit. A curve that does not rise is what we want.
        notes: What else is shown in the table, and not drawn: name and unit.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    x: list = field(default_factory=list)
    costs: dict = field(default_factory=dict)
    notes: dict = field(default_factory=dict)
    #: Why there are no more.
    remarks: list = field(default_factory=list)

    def add(self, x, costs, notes=()):
        """Another size, with its costs by the names of curves."""
        first = not self.x
        self.x.append(x)
        for kept, new in ((self.costs, costs), (self.notes, dict(notes))):
            for name, value in new.items():
                kept.setdefault(name, [None] * (len(self.x) - 1)).append(value)
            for values in kept.values():
                values.extend([None] * (len(self.x) - len(values)))
        if first:
            print(f"\n{self.title}: {self.y_label}\n{self.x_label:>16}{self._heads()}")
        print(f"{x:16,}{self._line(-1)}", flush=True)

    def remark(self, text):
        self.remarks.append(text)
        print(f"  {text}", flush=True)

    def end(self, folder):
        """Say how much the curves rise, and draw them."""
        for name, values in self.costs.items():
            ratios = [
                (after / before, smaller, larger)
                for smaller, larger, before, after in zip(
                    self.x, self.x[1:], values, values[1:], strict=False
                )
                if before and after
            ]
            if ratios:
                ratio, smaller, larger = max(ratios)
                print(f"  {name}: steepest from {smaller:,} to {larger:,}, x {ratio:.2f}")
        if len(self.x) > 1:
            path = folder / self.name
            plots.draw(path, self.title, self.x, self.costs, self.x_label, self.y_label)

    def as_data(self):
        return {key: value for key, value in vars(self).items() if key != "name"}

    def _heads(self):
        costs = "".join(f"{name:>22}{'ratio':>7}" for name in self.costs)
        return costs + "".join(f"{name:>22}" for name in self.notes)

    def _line(self, at):
        text = ""
        for values in self.costs.values():
            before = values[at - 1] if len(values) > 1 else None
            value = values[at]
            ratio = f"{value / before:.2f}" if value and before else ""
            text += f"{'' if value is None else number(value):>22}{ratio:>7}"
        for values in self.notes.values():
            text += f"{'' if values[at] is None else number(values[at]):>22}"
        return text
