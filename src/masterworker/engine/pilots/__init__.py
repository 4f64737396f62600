"""Workers in an engine: long tasks of it, each of which is a supervisor of ours.

crew (in the master) --adapter--> engine --Call--> inside (in the engine's process)
                                                            '--pipe--> `cli.pilot`, a process of
                                                                       its own: the supervisor
"""
