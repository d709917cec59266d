"""The board: a live page of real runs and studies. It reads their folders and changes nothing there.

`folders.py` finds runs and studies, `opening.py` opens their files, `runs.py` and `studies.py` say what they show,
`board.py` keeps all of it, `app.py` answers the page, and `sampling.py` draws from a run's generator in a second process.
"""
