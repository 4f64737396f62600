"""The conversation over Pyro5. Nothing outside this folder imports Pyro5.

Its frames are what we use, and its name server where one runs. The sockets and the loops that
serve them are ours: Pyro's own listen in one place only and refuse the 81st connection, parse what
strangers send, and offer far more than is needed (four serialisers, batches, streams, any method of
any object). `messages` says what is left of its protocol.

`connection.connect` is the calling end, `server.Server` the other one; to use one does not load the
other.
"""
