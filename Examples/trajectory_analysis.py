"""How does a protein change its shape? Two curves from a molecular dynamics trajectory.

For every frame this computes, over the C-alpha atoms (or those that --select names):

  radius of gyration   weighted by mass, in Angstrom: how compact the protein is
  RMSD                 to the first frame after optimal superposition, not weighted, in Angstrom:
                       how far the protein has moved from where it began

Time is in ps. The protein is adenylate kinase (AdK) on its way from the closed to the open form;
its 98 frames come with the package MDAnalysisTests. The path was biased (DIMS), so time tells the
order of events rather than how long they take. For your own trajectory: --files PSF DCD.

Frames are independent of each other, so any number of workers can share them, a block of frames
at a time. More workers may join from other terminals, or do all the work:

    python Examples/trajectory_analysis.py --workers 0 --label adk
    task_manager worker adk

With --journal FILE what was done is kept: ended by Ctrl-C or killed, it goes on where it was.

    python Examples/trajectory_analysis.py --block 1 --journal adk.journal

AdK is done in less time than a worker takes to start (a second, for importing MDAnalysis): try
--serial. Workers pay from tens of thousands of frames on, or when there is more to do per frame.

Sources: the files are read, and the RMSD is computed, by MDAnalysis (Michaud-Agrawal et al.,
J. Comput. Chem. 32, 2319, 2011); it finds the best rotation (Kabsch, Acta Cryst. A 32, 922, 1976)
by the QCP method (Theobald, Acta Cryst. A 61, 478, 2005). The trajectory: Beckstein et al.,
J. Mol. Biol. 394, 160, 2009.
"""

import argparse
import os
import sys
import time
import warnings
from itertools import repeat
from pathlib import Path

from masterworker import Master, StateValue

try:
    import matplotlib as mpl

    mpl.use("Agg")  # draw into files: no display is needed
    import matplotlib.pyplot as plt
    import MDAnalysis
    import numpy as np
    from MDAnalysis.analysis.rms import rmsd
    from MDAnalysisTests.datafiles import DCD, PSF
except ImportError as missing:
    sys.exit(f"{missing}: this example needs more, pip install 'masterworker[examples]'")

CURVES = ("radius of gyration", "RMSD to first frame")


def measure(frames, atoms, reference):
    """Return (time, radius of gyration, RMSD to the reference) of each frame."""
    rows = []
    for frame in frames:
        now = atoms.universe.trajectory[frame]
        moved = rmsd(atoms.positions, reference, superposition=True)
        rows.append((now.time, atoms.radius_of_gyration(), moved))
    return rows


def measure_in_workers(master, blocks, atoms, reference):
    """Return the rows of all blocks of frames, measured in the workers of a master.

    The atoms are stored with the master, and a StateValue stands for them in every task. So they
    travel to each worker once, and once there, MDAnalysis opens the trajectory file for them.
    """
    state = master.store_state(atoms=atoms, reference=reference)
    stored = [repeat(StateValue(state, name)) for name in ("atoms", "reference")]
    return [row for rows in master.map(measure, blocks, *stored, progress=True) for row in rows]


def analyse(options, atoms, reference, *, serial):
    """Measure all frames, in this process or in workers; return an array, one row for each."""
    frames = range(atoms.universe.trajectory.n_frames)
    blocks = [frames[i : i + options.block] for i in frames[:: options.block]]
    began = time.perf_counter()
    if serial:
        done, included = "done in this process, without workers", ""
        rows = measure(frames, atoms, reference)
    else:
        with Master(options.label, workers=options.workers, journal=options.journal) as master:
            print(f"{len(blocks)} tasks for {options.workers} workers; more may join at any time:")
            print(f"task_manager worker {master.label}", flush=True)
            rows = measure_in_workers(master, blocks, atoms, reference)
            workers = len(master.status().processes) - 1  # the master is one of the processes
        done = f"{len(blocks)} tasks done by {workers} workers, none lost"
        included = ", start and end of the workers included"
    seconds = time.perf_counter() - began
    print(f"{done}\n{len(frames) / seconds:,.0f} frames/s over {seconds:.2f} s{included}\n")
    return np.array(rows)


def show(rows):
    print(f"{'in Angstrom':20}{'first':>9}{'last':>9}{'min':>9}{'max':>9}")
    for name, curve in zip(CURVES, rows.T[1:], strict=True):
        print(f"{name:20}{curve[0]:9.3f}{curve[-1]:9.3f}{curve.min():9.3f}{curve.max():9.3f}")


def draw(rows, title, filename):
    figure, panels = plt.subplots(2, sharex=True, figsize=(7, 5.5), layout="constrained")
    for panel, name, curve, color in zip(panels, CURVES, rows.T[1:], ("C0", "C3"), strict=True):
        panel.plot(rows[:, 0], curve, color=color, marker=".", markersize=4, linewidth=1.2)
        panel.set_ylabel(f"{name} (Å)")
        panel.grid(alpha=0.3)
    panels[1].set_xlabel("time (ps)")
    figure.suptitle(title)
    figure.align_ylabels()
    figure.savefig(filename, format="png", dpi=150)
    print(f"\nplot written: {filename}")


def read_options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--workers", type=int, default=os.cpu_count(), help="started here (default: %(default)s)")
    add("--block", type=int, default=10, help="frames in a task (default: %(default)s)")
    add("--label", help="for workers that join from outside (default: one is made up)")
    add("--journal", metavar="FILE", help="goes on where it was, however it ended before")
    add("--plot", default="adk.png", metavar="FILE", help="default: %(default)s")
    add("--files", nargs=2, default=(PSF, DCD), metavar=("PSF", "DCD"), help="default: AdK")
    add("--select", default="protein and name CA", metavar="ATOMS", help="default: %(default)s")
    add("--serial", action="store_true", help="compute in this process")
    add("--check", action="store_true", help="compute both ways, and compare")
    options = parser.parse_args()
    if options.block < 1 or options.workers < 0:
        parser.error("--block must be at least 1, and --workers not negative")
    return options


def main():
    options = read_options()
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="MDAnalysis")
    atoms = MDAnalysis.Universe(*options.files).select_atoms(options.select)
    reference = atoms.positions
    title = f"{Path(options.files[1]).name}: {options.select}, {len(atoms)} atoms"
    print(f"{title}, {len(atoms.universe.trajectory)} frames\n")
    rows = analyse(options, atoms, reference, serial=options.serial or options.check)
    if options.check:
        here, rows = rows, analyse(options, atoms, reference, serial=False)
        difference = abs(rows - here).max()
        print(f"max abs difference between the two: {difference:.1e}\n")
        assert difference <= 1e-6, "the workers and this process disagree"  # noqa: S101
    show(rows)
    draw(rows, title, options.plot)


if __name__ == "__main__":
    main()
