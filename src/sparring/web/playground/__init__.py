"""The playground: GANs on a line and in a plane that train in the page's sight, by the library's own terms and step.

`catalogue.py` lists what can be chosen, `protocol.py` what a page may say, `track.py` is a session that can be rewound,
`worker.py` trains for one page, `frames.py` packs what it sees, `app.py` is the server's side of it all.
"""
