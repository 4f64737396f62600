"""What a worker has in common with its master: a test for each row of the table in the docs.

The programs are such as work with the pools of `multiprocessing`; what they print is compared.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import masterworker
from support import HANG, unique_label

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A module that tells what is the case in the process that calls it.
PROBE = """
    import os, resource, sys, warnings

    FLAGS = ("optimize", "bytes_warning", "dont_write_bytecode", "no_user_site", "no_site",
             "isolated", "ignore_environment", "utf8_mode", "dev_mode", "safe_path", "verbose",
             "quiet", "debug")

    def flags():
        return {name: int(getattr(sys.flags, name)) for name in FLAGS} | {
            "options": sorted((k, str(v)) for k, v in sys._xoptions.items()),
            "warnings": sys.warnoptions, "asserts": asserts(), "bytecode": sys.pycache_prefix,
            "unbuffered": sys.__stdout__.write_through,
            "stdout": [sys.stdout.encoding, sys.stdout.errors], "text": open(__file__).encoding,
        }

    def asserts():
        try:
            assert False
        except AssertionError:
            return True
        return False

    def process():
        os.umask(mask := os.umask(0))
        return {
            "argv": sys.argv, "folder": os.getcwd(), "umask": mask,
            "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "stack": resource.getrlimit(resource.RLIMIT_STACK),
            "nice": os.getpriority(os.PRIO_PROCESS, 0),
            "variables": {k: v for k, v in os.environ.items() if k.startswith("MINE_")},
        }

    def path():
        import which
        return [sys.path, which.__file__]

    def settings():
        import decimal, locale
        context = decimal.getcontext()
        return {
            "recursion": sys.getrecursionlimit(), "digits": sys.get_int_max_str_digits(),
            "switch": sys.getswitchinterval(), "locale": locale.setlocale(locale.LC_ALL),
            "third": str(decimal.Decimal(1) / 3), "rounding": context.rounding,
            "traps": sorted(t.__name__ for t, on in context.traps.items() if on),
        }
"""
ASK = """
    import json
    from masterworker import Master
    with Master(workers=1) as master:
        for fact in FACTS:
            print(json.dumps([fact(), master.submit(fact).result(60)]), flush=True)
"""


def _run(
    folder: Path,
    program: str,
    *options: str,
    arguments: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
) -> list[Any]:
    """Run a program, and return what it has printed, line by line."""
    (folder / "probe.py").write_text(textwrap.dedent(PROBE))
    asks = textwrap.dedent(ASK) if "FACTS" in program else ""
    (folder / "program.py").write_text(textwrap.dedent(program) + asks)
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, *options, str(folder / "program.py"), *arguments],
        cwd=folder,
        env={**variables, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * HANG,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line[:1] in "[{"]


# -- the interpreter ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "env"),
    [
        ([], {}),
        (["-O", "-B", "-s", "-u"], {}),
        (["-q", "-d"], {}),
        (["-OO", "-bb", "-P"], {"PYTHONPATH": "."}),
        (["-E"], {"PYTHONOPTIMIZE": "2"}),
        (["-X", "utf8", "-X", "faulthandler", "-X", "int_max_str_digits=700"], {}),
        (["-X", "dev", "-X", "no_debug_ranges", "-X", "pycache_prefix=compiled"], {}),
        (["-W", "error::UserWarning", "-W", "ignore:odd, isn't it:RuntimeWarning"], {}),
        ([], {"PYTHONOPTIMIZE": "1", "PYTHONUTF8": "1", "PYTHONDEVMODE": "1"}),
        (["-W", "error::BytesWarning", "-b"], {"PYTHONWARNINGS": "ignore,error::UserWarning"}),
        ([], {"PYTHONIOENCODING": "latin-1:replace", "PYTHONDONTWRITEBYTECODE": "1"}),
        ([], {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}),
    ],
)
def test_options_and_variables_of_the_interpreter(
    tmp_path: Path, options: list[str], env: dict[str, str]
) -> None:
    [[here, there]] = _run(tmp_path, "import probe; FACTS = [probe.flags]", *options, env=env)
    assert there == here


def test_a_program_that_imports_nothing_by_itself(tmp_path: Path) -> None:
    """With -I and -S nothing is found but what the program says: the worker is told."""
    paths = [entry for entry in sys.path if entry]
    program = f"import sys; sys.path += {[str(tmp_path), *paths]!r}; import probe\n"
    program += "FACTS = [probe.flags]\n"
    [[here, there]] = _run(tmp_path, program, "-I", "-S")
    assert there == here
    assert there["isolated"] == there["no_site"] == 1


# -- the process ----------------------------------------------------------------------------


def test_arguments_folder_variables_and_limits(tmp_path: Path) -> None:
    """As when the workers were launched: what the program does later is its own."""
    (tmp_path / "data").mkdir()
    found = _run(
        tmp_path,
        """
        import json, os, resource, threading
        import probe
        from masterworker import Master

        def meet(meeting):
            open(os.path.join(meeting, str(os.getpid())), "w").close()
            while len(os.listdir(meeting)) < 2:
                threading.Event().wait(0.01)
            return os.getcwd()

        os.mkdir("meeting")
        meeting = os.path.abspath("meeting")
        os.environ["MINE_BEFORE"] = "1"
        os.umask(0o027)
        os.chdir("data")
        os.setpriority(os.PRIO_PROCESS, 0, 3)
        resource.setrlimit(resource.RLIMIT_STACK, (1 << 22, resource.RLIM_INFINITY))
        here = probe.process()
        with Master(workers=1) as master:
            os.environ["MINE_AFTER"] = "1"
            os.chdir("/")
            print(json.dumps([here, master.submit(probe.process).result(60)]))
            master.launch_workers(1)
            both = [master.submit(meet, meeting) for _ in range(2)]
            print(json.dumps(sorted(each.result(60) for each in both)))
        """,
        arguments=("--steps", "7", "last word"),
    )
    here, there = found[0]
    assert there["files"] >= here.pop("files")
    there.pop("files")
    assert there == here
    assert here["argv"][1:] == ["--steps", "7", "last word"]
    assert here["variables"] == {"MINE_BEFORE": "1"}
    assert found[1] == ["/", str(tmp_path / "data")]


def test_a_variable_that_would_take_the_place_of_the_exit_status(tmp_path: Path) -> None:
    """With PYTHONINSPECT an interpreter asks for commands in place of ending."""
    found = _run(
        tmp_path,
        """
        import json, os
        from masterworker import Master
        with Master(workers=1, max_tasks=1) as master:
            print(json.dumps(len({master.submit(os.getpid).result(60) for _ in range(3)})))
            print(json.dumps([1]), flush=True)
        os._exit(0)
        """,
        env={"PYTHONINSPECT": "1"},
    )
    assert found == [[1]]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """Folders and arguments are bytes to the system."""
    found = _run(
        tmp_path,
        """
        import json, os, sys
        from masterworker import Master
        os.mkdir(b"odd \\xff"); os.chdir(b"odd \\xff")
        sys.path.insert(0, os.getcwd()); sys.argv.append("\\udcfe")
        with open("beside.py", "w") as file:
            file.write("def triple(x): return 3 * x")
        import beside
        def here():
            return ascii(os.getcwd()), ascii(sys.argv), ascii(sys.path)
        with Master(workers=1) as master:
            print(json.dumps([master.submit(beside.triple, 2).result(60)]))
            print(json.dumps([here(), master.submit(here).result(60)]))
        """,
    )
    assert found[0] == [6]
    assert found[1][0] == found[1][1]


def test_a_module_that_reads_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text(
        "import argparse\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--steps', type=int)\n"
        "steps = parser.parse_args().steps\n"
        "def simulate(x):\n"
        "    return x * steps\n"
    )
    found = _run(
        tmp_path,
        """
        import json, settings
        from masterworker import Master
        with Master(workers=1) as master:
            print(json.dumps(list(master.map(settings.simulate, range(3)))))
        """,
        arguments=("--steps", "7"),
    )
    assert found == [[0, 7, 14]]


def test_what_the_program_has_set_in_the_interpreter(tmp_path: Path) -> None:
    """Results that depend on it are those that the program itself would compute."""
    [[here, there]] = _run(
        tmp_path,
        """
        import decimal, locale, sys
        import probe
        sys.setrecursionlimit(4321)
        sys.set_int_max_str_digits(9999)
        sys.setswitchinterval(0.01)
        locale.setlocale(locale.LC_NUMERIC, "C.UTF-8")
        decimal.getcontext().prec = 50
        decimal.getcontext().rounding = decimal.ROUND_DOWN
        decimal.getcontext().traps[decimal.Inexact] = False
        decimal.getcontext().traps[decimal.Subnormal] = True
        FACTS = [probe.settings]
        """,
    )
    assert there == here
    assert here["recursion"] == 4321
    assert len(here["third"]) == 52


def test_filters_of_warnings(tmp_path: Path) -> None:
    """Those that were set by calls, also for categories of modules that are not loaded there."""
    (tmp_path / "own.py").write_text(
        "class OwnWarning(UserWarning): pass\nclass Derived(OwnWarning): pass\n"
    )
    found = _run(
        tmp_path,
        """
        import json, warnings
        from masterworker import Master
        import own

        class MainWarning(UserWarning): pass

        warnings.simplefilter("ignore")
        warnings.simplefilter("error", own.OwnWarning)
        warnings.simplefilter("error", MainWarning)
        warnings.filterwarnings("error", message="divided? by", category=RuntimeWarning)

        def raised(category, text):
            import own, warnings
            chosen = getattr(own, category, None) or getattr(__builtins__, category, None)
            chosen = chosen or {"MainWarning": MainWarning}.get(category) or eval(category)
            with warnings.catch_warnings(record=True) as shown:
                try:
                    warnings.warn(text, chosen)
                except Warning as error:
                    return "raised"
            return len(shown)

        calls = [("OwnWarning", "x"), ("Derived", "x"), ("MainWarning", "x"), ("UserWarning", "x"),
                 ("RuntimeWarning", "divide by zero"), ("RuntimeWarning", "overflow")]
        here = [raised(*each) for each in calls]
        with Master(workers=1) as master:
            print(json.dumps([here, [master.submit(raised, *each).result(60) for each in calls]]))
        """,
    )
    [[here, there]] = found
    assert here == ["raised", "raised", "raised", 0, "raised", 0]
    assert there == here


def test_what_numpy_does_with_errors(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    found = _run(
        tmp_path,
        """
        import json
        import numpy as np
        from masterworker import Master
        np.seterr(divide="raise", under="warn")
        def divide():
            try:
                return float(np.float64(1) / np.float64(0))
            except FloatingPointError:
                return "raised"
        with Master(workers=1) as master:
            print(json.dumps([divide(), master.submit(divide).result(60)]))
            print(json.dumps([np.geterr(), master.submit(np.geterr).result(60)]))
        """,
    )
    assert found[0] == ["raised", "raised"]
    assert found[1][0] == found[1][1]


# -- where modules come from ----------------------------------------------------------------


def test_the_order_of_the_path_decides_between_modules_of_one_name(tmp_path: Path) -> None:
    """Before and behind the installation; a shadowed module of the standard library, too."""
    for name in ("front", "back", "relative"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "which.py").touch()
    (tmp_path / "front" / "colorsys.py").write_text("ours = True\n")
    (tmp_path / "back" / "quopri.py").write_text("ours = True\n")
    found = _run(
        tmp_path,
        f"""
        import os, sys
        import probe
        sys.path.insert(0, {str(tmp_path / "front")!r})
        sys.path.append({str(tmp_path / "back")!r})
        sys.path.insert(1, "relative")
        def shadowed():
            import colorsys, quopri
            return [hasattr(colorsys, "ours"), hasattr(quopri, "ours")]
        def which():
            return [os.path.abspath(entry) for entry in sys.path], probe.path()[1]
        FACTS = [which, shadowed]
        """,
    )
    assert found[0][0] == found[0][1]
    assert found[1] == [[True, False], [True, False]]


LATE = """
    import importlib, json, os, site, sys, zipfile
    from masterworker import Master
    from masterworker.errors import TaskFailed

    def put(folder, name, text):
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)

    def inside(name):
        return __import__(name).answer()

    with Master(workers=2) as master:
        master.submit(abs, -1).result(60)
        ways = {}

        put("inserted", "late1.py", "def answer(): return 1")
        sys.path.insert(0, os.path.abspath("inserted"))
        import late1
        ways["insert"] = master.submit(late1.answer).result(60)

        put("relative", "late2.py", "class Thing:\\n    def answer(self): return 2")
        sys.path.append("relative")
        import late2
        ways["parameter"] = master.submit(lambda thing: thing.answer(), late2.Thing()).result(60)

        put("added", "late3.py", "def answer(): return 3")
        put("listed", "extra.pth", os.path.abspath("added"))
        site.addsitedir("listed")
        ways["pth"] = list(master.map(inside, ["late3"] * 4))

        with zipfile.ZipFile("library.zip", "w") as archive:
            archive.writestr("late4/__init__.py", "from late4.inner import answer")
            archive.writestr("late4/inner.py", "def answer(): return 4")
        sys.path.insert(0, "library.zip")
        import late4
        ways["zip"] = master.submit(late4.answer).result(60)

        put("one/late5", "first.py", "def answer(): return 5")
        put("two/late5", "second.py", "def answer(): return 6")
        sys.path.append("one")
        import late5.first
        ways["namespace"] = master.submit(late5.first.answer).result(60)
        sys.path.append("two")
        import late5.second
        ways["its other part"] = master.submit(late5.second.answer).result(60)

        put("elsewhere", "late7.py", "def answer(): return 7")
        os.chdir("elsewhere")
        sys.path.insert(0, "")
        ways["folder of the moment"] = master.submit(inside, "late7").result(60)

        try:
            master.submit(inside, "nowhere_at_all").result(60)
        except ModuleNotFoundError:
            ways["nowhere"] = True
        print(json.dumps(ways))
"""


def test_folders_that_are_added_later(tmp_path: Path) -> None:
    """In whichever way: a worker that misses a module asks where the program looks by now."""
    [ways] = _run(tmp_path, LATE)
    assert ways == {
        "insert": 1, "parameter": 2, "pth": [3, 3, 3, 3], "zip": 4, "namespace": 5,
        "its other part": 6, "folder of the moment": 7, "nowhere": True,
    }  # fmt: skip


def test_the_library_itself_is_found_as_the_program_has_found_it(tmp_path: Path) -> None:
    """In a folder that only the program knows, and that no environment names."""
    (tmp_path / "vendored").symlink_to(Path(masterworker.__file__).parents[1])
    others = [entry for entry in sys.path if "site-packages" in entry]
    found = _run(
        tmp_path,
        f"""
        import os, sys
        sys.path[:0] = [{str(tmp_path / "vendored")!r}]
        sys.path += {others!r}
        def where():
            import masterworker
            return os.path.dirname(masterworker.__file__)
        FACTS = [where]
        """,
        "-S",
    )
    assert found == [[str(tmp_path / "vendored" / "masterworker")] * 2]


# -- hashes of texts ------------------------------------------------------------------------

HASHES = """
    import json, os, sys
    from masterworker import Master
    def look():
        return os.getpid(), hash("alanine"), list({"glycine", "serine", "valine", "lysine"})
    with Master(sys.argv[1], workers=2) as master:
        found = {}
        while len(found) < int(sys.argv[2]):
            for process, *value in [h.result(60) for h in [master.submit(look) for _ in range(20)]]:
                found[process] = value
            if len(sys.argv) > 3:
                print("ready", flush=True)
        print(json.dumps([hash("alanine"), *found.values()]), flush=True)
"""


@pytest.mark.parametrize("seed", ["", "random", "0", "4711"])
def test_all_workers_agree_on_the_hash_of_a_text(tmp_path: Path, seed: str) -> None:
    """And with the master, where it has a seed that can be told."""
    label = unique_label()
    env = {"PYTHONHASHSEED": seed} if seed else {}
    [[own, *others]] = _run(tmp_path, HASHES, arguments=(label, "2"), env=env)
    assert others[0] == others[1]
    assert (own == others[0][0]) == seed.isdecimal()


def test_workers_of_another_supervisor_agree_as_well(tmp_path: Path) -> None:
    """On this machine, and where they come by a ticket as from another one."""
    label = unique_label()
    [[own, *others]] = _run(
        tmp_path,
        """
        import json, os, subprocess, sys
        from masterworker import Master
        def look():
            return os.getpid(), hash("alanine"), sys.flags.optimize
        def supervisor(*words, **given):
            command = [sys.executable, "-m", "masterworker.cli", "worker", *words]
            variables = {k: v for k, v in os.environ.items() if k != "PYTHONHASHSEED"}
            return subprocess.Popen(command, env=variables, **given)
        with Master(sys.argv[1], workers=1, host="127.0.0.1") as master:
            read, write = os.pipe()
            os.write(write, master.ticket().encode())
            os.close(write)
            others = [supervisor(sys.argv[1]), supervisor("--ticket", "-", stdin=read)]
            found = {}
            while len(found) < 3:
                asked = [master.submit(look) for _ in range(9)]
                found |= {process: value for process, *value in (h.result(60) for h in asked)}
            print(json.dumps([[hash("alanine"), sys.flags.optimize], *found.values()]))
        for each in others:
            each.wait(60)
        """,
        "-OO",
        arguments=(label,),
    )
    assert others[0] == others[1] == others[2]
    assert own[1] == others[0][1] == 2


def test_a_worker_elsewhere(tmp_path: Path) -> None:
    """It comes by a ticket, from another folder and environment, and finds what it needs."""
    (tmp_path / "folder").mkdir()
    found = _run(
        tmp_path,
        """
        import decimal, json, os, subprocess, sys, warnings
        import probe
        from masterworker import Master

        os.chdir("folder")
        decimal.getcontext().prec = 9
        sys.setrecursionlimit(2222)
        warnings.simplefilter("error", ResourceWarning)
        sys.path.insert(0, ".")
        with open("which.py", "w") as file:
            file.write("def answer(): return 1")

        def filters():
            return [each[0] for each in warnings.filters if each[2] is ResourceWarning][:1]

        def put(folder, answer):
            os.makedirs(folder, exist_ok=True)
            with open(f"{folder}/late.py", "w") as file:
                file.write(f"def answer(): return {answer}" + answer * " #")

        with Master(host="127.0.0.1") as master:
            command = [sys.executable, "-m", "masterworker.cli", "worker", "--ticket", "-"]
            variables = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
            worker = subprocess.Popen(
                command, cwd="/", env=variables, stdin=subprocess.PIPE, text=True
            )
            worker.stdin.write(master.ticket())
            worker.stdin.close()
            for fact in (probe.settings, probe.flags, filters, os.getcwd, lambda: sys.argv):
                print(json.dumps([fact(), master.submit(fact).result(60)]))
            import which
            print(json.dumps([1, master.submit(which.answer).result(60)]))
            put("later", 2)
            sys.path.append("later")
            import importlib, late
            print(json.dumps([2, master.submit(late.answer).result(60)]))
            put("later", 3)
            importlib.reload(late)
            print(json.dumps([3, master.submit(late.answer).result(60)]))
        worker.wait(60)
        """,
        *("-O", "-b", "-W", "error::UserWarning", "-X", "utf8=0", "-B"),
        arguments=("--steps", "7"),
    )
    for here, there in found:
        if isinstance(here, dict) and "options" in here:  # these follow from the variables
            for name in ("text", "stdout"):
                here.pop(name), there.pop(name)
        assert there == here
    assert len(found) == 8
