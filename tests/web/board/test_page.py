"""The board in a browser: every control, what comes in while it is open, a small screen, and the keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from board_runs import add_sheet, lines, log_rows, made_run, made_study, png
from sparring.web.board import worker
from sparring.web.board.app import board_app
from sparring.web.board.board import Board
from sparring.web.board.sampling import Sampler
from tiny_generators import written

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.allow_hosts(["127.0.0.1"])]
Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of every kind, and a study."""
    top = tmp_path_factory.mktemp("board") / "runs"
    training = made_run(top / "growing", 60, "training", seed=3)
    for path in written(top.parent / "made", conditioning="conditional_batch_norm").iterdir():
        path.rename(training / path.name)
    made_run(top / "killed", 50, "killed", batch_size=8)
    made_run(top / "failed", 50, "failed", "hinge is not finite at step 51")
    diagnosed = made_run(top / "finished", batch_size=16) / "diagnosis"
    diagnosed.mkdir()
    for name in ("gradient-maps", "spectrum-layers-finished", "curve-hinge"):
        (diagnosed / f"{name}.png").write_bytes(png(len(name)))
    made_study(top / "study", seeds=6, done=17)
    return top


@pytest.fixture(scope="module")
def link(folder: Path, serving: Callable[..., str]) -> str:
    return serving(lambda address: board_app(Board([folder]), address))


@pytest.fixture
def opened(link: str, new_page: Open) -> Open:
    """`opened(run)` opens the page of a run, or the first page."""

    def show(name: str | None = None, **options: Any) -> Page:
        page = new_page(**options)
        page.goto(link)
        page.wait_for_selector('.list [data-state="training"]')
        if name is not None:
            page.locator(".list a", has_text=re.compile(f"runs/{name}")).click()
            page.wait_for_selector(".curves svg path")
        return page

    return show


def step(page: Page) -> str:
    return page.locator(".timeline output").inner_text()


def test_the_list_searches_and_filters(opened: Open) -> None:
    page = opened()
    rows = page.locator(".list [data-run]")
    assert "22 runs" in page.inner_text("#counts") and "1 study" in page.inner_text("#counts")
    assert page.title() == "(2) sparring board"
    page.fill("#search", "grow")
    assert rows.count() == 1
    page.fill("#search", "nothing at all")
    assert "No run matches." in page.inner_text("#list")
    page.fill("#search", "")
    for name, states in {"Failed": {"failed"}, "Stopped": {"killed", "interrupted"}, "Training": {"training"}}.items():
        page.locator("#filters button", has_text=name).click()
        assert {row.get_attribute("data-state") for row in rows.all()} <= states and rows.count() > 0
    page.locator("#filters button", has_text="All").click()
    toggle = page.locator(".study .toggle")
    assert toggle.get_attribute("aria-expanded") == "false" and rows.count() == 4
    toggle.click()
    assert toggle.get_attribute("aria-expanded") == "true" and rows.count() == 22
    assert page.locator("main .card.run").count() > 3 and page.locator("main .card.study .parts").count() == 1


def test_new_pictures_and_numbers_come_without_a_reload(opened: Open, folder: Path) -> None:
    page = opened("growing")
    page.evaluate("window.same = true")
    assert step(page) == "step 50"
    made_run(folder / "newcomer", 10, "training")
    add_sheet(folder / "growing", 60)
    with (folder / "growing" / "log.jsonl").open("a") as log:
        log.write(lines(log_rows(60, 80)) + '{"step": 90, "disc')
    page.wait_for_selector(".timeline output:text-is('step 60')")
    page.wait_for_selector(".head:has-text('80 of 100 steps')")
    assert page.evaluate("document.querySelector('.samples img').naturalWidth") > 0 and page.evaluate("window.same")
    chart = page.get_by_role("slider", name="D: hinge, step")
    chart.focus()
    page.wait_for_selector('.reader:focus[aria-valuetext^="step 80"]')
    page.wait_for_selector('.list a:has-text("runs/newcomer")')


def test_a_run(opened: Open) -> None:
    page = opened("finished")
    slider = page.get_by_role("slider", name="Step of the samples")
    slider.focus()
    slider.press("ArrowLeft")
    assert step(page) == "step 50" and "step-50" not in page.url
    assert "/samples/50" in (page.locator(".samples img").get_attribute("src") or "")
    slider.press("Home")
    assert step(page) == "step 0"
    page.get_by_role("button", name="Newest").click()
    assert step(page) == "step 100"
    page.get_by_role("button", name="Play the samples").click()
    assert step(page) == "step 0"
    page.wait_for_selector(".timeline output:text-is('step 100')")
    assert page.locator(".names span").all_inner_texts() == ["ant", "bee", "cat"]
    assert "People try a larger batch." in page.inner_text(".warnings")
    sources = page.get_by_role("button", name="Sources of fashion-FD")
    sources.click()
    said = page.inner_text(".sources")
    assert all(word in said for word in ("Extractor", "fashion", "AVX512", "Generated images", "500", "Device"))
    sources.click()
    assert not page.locator(".sources").is_visible()
    chart = page.get_by_role("slider", name="fashion-FD, step")
    chart.focus()
    chart.press("Home")
    assert chart.get_attribute("aria-valuetext") == "step 50: 75"
    line = page.get_by_role("slider", name="D: hinge, step").locator("path")
    before = line.get_attribute("d")
    page.get_by_label("Logarithmic").check()
    assert line.get_attribute("d") != before
    page.get_by_label("Logarithmic").uncheck()
    page.locator("summary", has_text="Health").click()
    assert page.get_by_role("slider", name="Diversity").is_visible()
    assert page.locator(".picture").count() == 2  # the board draws curves itself
    page.locator(".picture").first.click()
    dialog = page.get_by_role("dialog", name="Gradient maps")
    dialog.press("ArrowRight")
    assert page.get_by_role("dialog", name="Spectrum layers").get_by_text("2 of 2").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    page.locator("summary", has_text="Recipe").click()
    assert "objective.r1.weight=5" in page.inner_text("pre")


def test_runs_that_ended_badly_say_why(opened: Open) -> None:
    page = opened("failed")
    assert "hinge is not finite at step 51" in page.inner_text(".head") and "--resume" in page.inner_text(".command")
    page.get_by_role("button", name="Copy").first.click()
    page.wait_for_selector(".command button:not(:text-is('Copy'))")
    page.locator(".list a", has_text="runs/killed").click()
    page.wait_for_selector(".head:has-text('Its process ended')")


def test_several_runs_side_by_side(opened: Open) -> None:
    page = opened()
    for name in ("finished", "killed"):
        page.get_by_role("checkbox", name=f"Compare runs/{name}").check()
    page.get_by_role("button", name="Compare 2 runs").click()
    page.wait_for_selector(".curves path.c1")
    assert page.locator(".samples figure").count() == 2 and page.locator(".chosen-runs .badge").all_inner_texts() == [
        "A",
        "B",
    ]
    slider = page.get_by_role("slider", name="Step of the samples")
    slider.focus()
    slider.press("End")
    assert "drawn at step 50" in page.locator(".samples figure").last.inner_text()
    tables = page.locator("table")
    assert tables.locator("thead th").all_inner_texts() == ["number", "A", "B", "sources", "setting", "A", "B"]
    differing = page.get_by_role("region", name="Settings that differ").inner_text()
    assert "batch_size" in differing and "16" in differing and "objective" not in differing
    chart = page.get_by_role("slider", name="G: hinge, step")
    chart.focus()
    chart.press("Home")
    assert chart.get_attribute("aria-valuetext") == "step 10: A 0.5  B 0.5"
    page.get_by_role("link", name="Leave out runs/killed").click()
    page.wait_for_selector(".head h2:has-text('runs/finished')")
    page.go_back()
    page.wait_for_selector(".chosen-runs")


def test_drawing_samples(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async def here(self: Sampler, request: Any) -> dict[str, Any]:
        return worker.answer(request)

    monkeypatch.setattr(Sampler, "_answered", here)
    page = opened("growing")
    assert page.locator(".drawn img").count() == 0
    page.get_by_role("button", name="Draw", exact=True).click()
    page.wait_for_selector(".drawn img")
    assert [image.get_attribute("alt") for image in page.locator(".drawn img").all()] == [
        "seed 0, ant",
        "seed 0, bee",
        "seed 0, cat",
    ]
    page.get_by_label("Class").select_option("bee")
    page.get_by_role("spinbutton", name="Images").fill("5")
    page.get_by_label("Truncation").fill("0.7")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.wait_for_selector(".drawn li:nth-child(5)")
    assert page.inner_text(".draw code").endswith("--seeds 0-4 --label bee --truncation 0.7 --out samples.png")
    page.get_by_role("button", name="Next seeds").click()
    page.wait_for_selector('.drawn img[alt="seed 9, bee"]')

    async def refuse(self: Sampler, request: Any) -> dict[str, Any]:
        return {"message": "this generator is damaged"}

    monkeypatch.setattr(Sampler, "_answered", refuse)
    page.get_by_role("button", name="Next seeds").click()
    page.wait_for_selector("text=Not drawn: this generator is damaged")
    page.wrong.clear()  # type: ignore[attr-defined]  # Chromium notes every answer with 400


def test_a_study(opened: Open) -> None:
    page = opened()
    page.locator(".studyrow a").click()
    page.wait_for_selector("svg.dots circle")
    assert "17 of 18 runs done · 1 failed · 1 running" in page.inner_text(".head")
    assert "b beats a" in page.inner_text(".verdicts") and "fashion-FD, lower is better" in page.inner_text("main")
    assert page.locator("svg.dots circle").count() == 16 and page.locator("svg.dots text.failed").count() == 1
    assert page.locator(".seed").count() == 18 and page.locator(".samples, .sheets img").count() == 3
    page.get_by_label("Seed", exact=True).select_option("1")
    assert "a-1-samples.png" in (page.locator(".sheets img").first.get_attribute("src") or "")
    page.get_by_role("link", name="Compare the runs of b").click()
    page.wait_for_selector(".chosen-runs li:nth-child(6)")
    page.go_back()
    page.get_by_role("link", name=re.compile("seed 1, failed: not finite at step 60")).click()
    page.wait_for_selector(".head:has-text('a, seed 1')")
    page.get_by_role("link", name="its study").click()
    page.wait_for_selector(".verdicts")


def test_a_small_screen_and_dark_colours(opened: Open, overflow: Callable[[Page], list[str]]) -> None:
    page = opened(width=360, height=640, color_scheme="dark")
    assert overflow(page) == []
    page.locator(".list a", has_text="runs/finished").click()
    page.wait_for_selector(".curves svg path")
    assert overflow(page) == [] and not page.locator(".side").is_visible()
    page.get_by_role("link", name="All runs", exact=True).click()
    page.locator(".studyrow a").click()
    page.wait_for_selector("svg.dots circle")
    assert overflow(page) == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Use light colours").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    wide = opened("finished", width=1600, height=1000, reduced_motion="reduce")
    assert overflow(wide) == [] and wide.locator(".side").is_visible()


def test_the_keyboard_alone(opened: Open) -> None:
    page = opened()

    def tab_to(what: str, most: int = 90) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate("what => document.activeElement.matches(what)", what):
                return
        raise AssertionError(f"the Tab key does not reach {what}")

    tab_to(".skip", 1)
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.evaluate("document.activeElement.blur(); document.querySelector('.skip').focus()")
    tab_to("#search")
    page.keyboard.type("finished")
    tab_to('[data-state="finished"] input')
    page.keyboard.press("Space")
    tab_to('[data-state="finished"] a')
    page.keyboard.press("Enter")
    page.wait_for_selector(".curves svg path")
    assert page.evaluate("document.activeElement.id") == "main"
    tab_to(".timeline input")
    page.keyboard.press("ArrowLeft")
    assert step(page) == "step 50"
    tab_to(".numbers button")
    page.keyboard.press("Enter")
    assert page.locator(".sources").is_visible()
    tab_to(".curves .reader")
    page.keyboard.press("Home")
    assert "step 50" in page.inner_text(".curves .values >> nth=0")


def test_a_server_that_ends_is_said(new_page: Open, tmp_path: Path, served: Callable[..., Any]) -> None:
    made_run(tmp_path / "run")
    page = new_page()
    with served(lambda address: board_app(Board([tmp_path / "run"]), address)) as link:
        page.goto(link)
        page.wait_for_selector(".head h2:text-is('run')")  # the only one, which opens by itself
        page.wait_for_selector(".curves svg path")
        assert page.title() == "run · sparring board"
    page.wait_for_selector("#live:has-text('The server does not answer')")
    page.wrong.clear()  # type: ignore[attr-defined]  # the requests that failed
