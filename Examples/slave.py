"""The slave of the two-script example. See master.py."""

import math

from Scientific.DistributedComputing.MasterSlave import startSlaveProcess


def do_sqrt(x):
    return x, math.sqrt(x)


startSlaveProcess("demo")
