"""Live pages in the browser: the playground, and the board of real runs. What both share lies here.

`serve.py` listens and answers, `guard.py` decides who may ask, `static/` holds what both pages look like. A page is a
folder beside them. Everything here needs the extra `sparring[web]`.
"""
