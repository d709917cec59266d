"""How pages look: CSS for all of them, and what those of studies add."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark;
        --ink: #1d2126; --soft: #69707a; --line: #d9dde2; --paper: #fff; --card: #f5f6f8; --bar: #3b7ddd }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #9aa1ab; --line: #363b42; --paper: #16181c; --card: #1f2227; --bar: #5c95e6 } }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       margin: 0 auto; max-width: 62rem; padding: 2rem 1.2rem 4rem }
h1 { font-size: 1.7rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.4rem 0 .8rem }
p { margin: .3rem 0; color: var(--soft) }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .8rem; margin: 1.4rem 0 }
.number { background: var(--card); border-radius: .6rem; padding: .8rem 1rem }
.number b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums }
.number span { color: var(--soft); font-size: .85rem }
.pictures, .curves { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)) }
.curves { gap: 1.4rem 1.6rem } .pictures { grid-template-columns: repeat(auto-fill, minmax(min(47%, 18rem), 1fr)) }
figure { margin: 0; min-width: 0 } figcaption { color: var(--soft); font-size: .85rem; margin-top: .25rem }
img { width: 100%; image-rendering: pixelated; border-radius: .4rem; display: block }
.strip img { border-radius: .2rem; margin-bottom: .2rem }
.names { display: grid; color: var(--soft); font-size: .72rem; line-height: 1.15; text-align: center; align-items: end;
         margin-top: .4rem }
.names span { padding: 0 .1rem .15rem; overflow-wrap: anywhere; max-height: 3.4em; overflow: hidden }
.strip { min-width: var(--least) }
@media (max-width: 40rem) {
  .strip { min-width: 0 }
  .names.many span { writing-mode: vertical-rl; transform: rotate(180deg); justify-self: center; padding: .3rem 0;
                      max-height: 8em; line-height: 1 } }
.curves svg { width: 100%; height: auto }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-size: .88rem; width: 100% }
.sources { font-size: .85rem; overflow-wrap: anywhere } .sources b { color: var(--ink); font-weight: 500 }
th, td { text-align: left; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); white-space: nowrap }
td.value { font-variant-numeric: tabular-nums; font-weight: 600 } th { color: var(--soft); font-weight: 500 }
.shares { display: grid; grid-template-columns: max-content 1fr max-content; gap: .25rem .8rem; align-items: center;
          font-size: .9rem }
.shares i { background: var(--bar); height: .8rem; border-radius: .2rem; display: block; min-width: 1px }
pre { background: var(--card); border-radius: .6rem; padding: 1rem; font-size: .82rem; margin: .6rem 0 }
pre { white-space: pre-wrap; overflow-wrap: anywhere }
summary { cursor: pointer; color: var(--soft) } li { color: var(--soft) }
"""

OF_STUDIES = """
.verdict { border-left: .35rem solid var(--soft); background: var(--card); border-radius: .4rem; margin: .6rem 0;
           padding: .6rem .9rem; overflow-wrap: anywhere }
.verdict b { color: var(--ink) } .verdict p { font-size: .88rem }
.verdict.agrees { border-color: #3b7ddd } .verdict.disagrees { border-color: #e0823d }
.figures { display: grid; gap: 1.4rem 1.6rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 25rem), 1fr)) }
.figures svg { width: 100%; height: auto } .figures > * { min-width: 0 }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem } .scroll { margin-bottom: .4rem }
.scroll th:first-child, .scroll td:first-child { position: sticky; left: 0; background: var(--paper);
           white-space: normal; min-width: 6.5rem; max-width: 14rem; overflow-wrap: anywhere }
.scroll td:last-child { white-space: normal; min-width: 11rem; font-variant-numeric: tabular-nums }
"""
