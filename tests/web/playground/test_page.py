"""The playground in a browser: every control, two sizes, both themes, the keyboard alone."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from sparring.web.playground.app import Playground
from sparring.web.serve import site

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.allow_hosts(["127.0.0.1"])]
Open = Callable[..., "Page"]
SMALL = "&".join(f"{player}.network.width=8" for player in ("generator", "discriminator")) + "&batch_size=8"
RING = f"#world=ring-8&world.std=0.1&seed=0&method=hinge&{SMALL}"
LINE = f"#world=nat-1d&seed=0&method=negatives&{SMALL}"
STEP = "playground.frame?.sides[0].step"


@pytest.fixture(scope="module")
def link(serving: Callable[..., str]) -> str:
    return serving(lambda address: site(Playground().routes(), address))


@pytest.fixture
def opened(link: str, new_page: Open) -> Open:
    """`opened(fragment)` opens the page with the settings of a link, and waits for its first picture."""

    def show(fragment: str = RING, width: int = 1600, height: int = 1000, **options: Any) -> Page:
        page = new_page(width, height, **options)
        page.goto(link + fragment)
        wait(page, "Boolean(window.playground?.stage.frame && playground.recipes.length)")
        return page

    return show


def wait(page: Page, what: str, seconds: float = 25) -> None:
    """Until an expression is true. The page's own policy forbids `wait_for_function`."""
    end = time.monotonic() + seconds
    while not page.evaluate(what):
        assert time.monotonic() < end, f"{what}: {page.url} {page.evaluate('document.body.textContent')[-300:]}"
        page.wait_for_timeout(20)


def colours(page: Page, i: int = 0) -> int:
    """The number of different colours of a picture."""
    return page.evaluate(
        """(i) => { const canvas = document.querySelectorAll('.view canvas')[i];
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
        copy.drawImage(canvas, 0, 0);
        const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size }""",
        i,
    )


def no_alarm(page: Page) -> None:
    assert page.locator("#alarm").is_hidden(), page.locator("#alarm").text_content()


@pytest.mark.parametrize(
    ("fragment", "size", "theme"),
    [
        (RING, (1600, 1000), "light"),
        (LINE, (1600, 1000), "dark"),
        (RING, (360, 640), "dark"),
        (LINE, (360, 640), "light"),
    ],
)
def test_it_plays_and_pauses_in_both_sizes_and_themes(
    opened: Open, overflow: Callable[..., list[str]], fragment: str, size: tuple[int, int], theme: str
) -> None:
    page = opened(fragment, *size, color_scheme=theme)
    assert colours(page) > 30 and overflow(page) == []
    page.click("#play")
    wait(page, f"{STEP} > 12 && playground.charts.sides[0].distance?.points.length > 2")
    page.click("#play")
    wait(page, "!playground.frame.playing")
    at = page.evaluate(STEP)
    page.wait_for_timeout(300)
    assert page.evaluate(STEP) == at and page.locator("#at").text_content() == f"step {at}"
    assert f"Step {at}" in (page.locator("#summary").text_content() or "")
    assert "distance to the data" in (page.locator(".view canvas").get_attribute("aria-label") or "")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Use dark colours" if theme == "light" else "Use light colours").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != background and colours(page) > 30
    no_alarm(page)


def test_every_term_and_loss_can_be_switched_while_it_runs(opened: Open) -> None:
    page = opened()
    page.click("#play")
    terms = page.evaluate("playground.catalogue.terms.map((t) => [t.name, t.role, t.refused.labelled])")
    for name, role, refused in terms:
        if refused:
            continue
        if name == "sdp":  # the hosts come first; the terms are tried beside one that takes all of them
            page.evaluate("playground.set('objective.hinge', {})")
        page.evaluate("(name) => playground.set(`objective.${name}`, {})", name)
        wait(page, f"{json.dumps(name)} in playground.recipes[0].objective")
        before = page.evaluate(STEP)
        wait(page, f"{STEP} > {before}")
        if role != "host":
            page.evaluate("(name) => playground.set(`objective.${name}`, null)", name)
            wait(page, f"!({json.dumps(name)} in playground.recipes[0].objective)")
        no_alarm(page)
    assert page.evaluate("playground.playing")


def test_a_setting_that_does_not_fit_is_explained_and_taken_back(opened: Open) -> None:
    page = opened()
    page.click("#play")
    page.evaluate("playground.set('objective.relativistic_pairing', {})")
    wait(page, "'relativistic_pairing' in playground.recipes[0].objective")
    before = page.evaluate("JSON.stringify(playground.state)")
    page.get_by_role("switch", name="as gan").click()
    page.locator("#alarm:visible").wait_for()
    assert "as_gan" in (page.locator("#alarm").text_content() or "")
    assert page.evaluate("JSON.stringify(playground.state)") == before and "as_gan" not in page.url
    assert not page.get_by_role("switch", name="as gan").is_checked()
    at = page.evaluate(STEP)
    wait(page, f"{STEP} > {at}")  # it plays on


def test_every_control_of_the_panel_does_something(opened: Open) -> None:
    """Each slider, switch and list is moved by the keyboard or a click; the recipe or the run then differs."""
    page = opened(RING + "&objective.sdp=%7B%7D&objective.as_gan=%7B%7D")
    page.evaluate("document.querySelectorAll('#settings details').forEach((each) => (each.open = true))")
    page.wait_for_timeout(100)
    state = "JSON.stringify([playground.state.world, playground.state.seed, playground.recipes[0]])"
    count = page.locator("#settings input, #settings select").count()
    assert count > 40
    idle = []
    for i in range(count):
        control = page.locator("#settings input, #settings select").nth(i)
        if control.is_disabled():
            continue
        before, name = page.evaluate(state), control.evaluate("(e) => (e.labels?.[0] ?? e).textContent")
        if control.evaluate("(e) => e.tagName") == "SELECT":
            control.evaluate(
                "(e) => { const other = [...e.options].find((o) => !o.selected && !o.disabled); e.value = other.value;"
                "e.dispatchEvent(new Event('change', { bubbles: true })) }"
            )
        elif control.get_attribute("type") == "checkbox":
            control.evaluate("(e) => e.click()")
        elif control.get_attribute("type") == "number":
            control.fill("5"), control.press("Enter")
        else:
            low = control.evaluate("(e) => Number(e.value) >= Number(e.max)")
            control.press("ArrowLeft" if low else "ArrowRight")
            control.press("ArrowLeft" if low else "ArrowRight")
        end = time.monotonic() + 4
        while page.evaluate(state) == before and time.monotonic() < end:
            page.wait_for_timeout(20)
        if page.evaluate(state) == before and page.locator("#alarm").is_hidden():
            idle.append(name)
        if page.locator("#settings input, #settings select").count() != count:
            break  # a switch that brings or takes controls: all before it were tried
    assert idle == []


def test_stepping_rewinding_and_changing_repeats_the_same_run(opened: Open) -> None:
    page = opened()
    samples = "Array.from(playground.stage.frame.sides[0].samples.data.slice(0, 40))"
    for _ in range(3):
        page.click("#step")
    wait(page, f"{STEP} === 3")
    page.get_by_role("switch", name="r1").click()
    wait(page, "'r1' in playground.recipes[0].objective")
    for _ in range(2):
        page.click("#step")
    wait(page, f"{STEP} === 5")
    page.wait_for_timeout(100)
    first = page.evaluate(samples)
    page.locator("#time").press("Home")
    wait(page, f"{STEP} === 0 && !('r1' in playground.recipes[0].objective)")
    page.locator("#time").press("End")
    wait(page, f"{STEP} === 5 && 'r1' in playground.recipes[0].objective")
    page.wait_for_timeout(100)
    assert page.evaluate(samples) == first
    page.click("#again")
    wait(page, f"{STEP} === 0")


def test_side_by_side_and_the_link_that_carries_it(opened: Open, link: str, new_page: Open) -> None:
    page = opened()
    page.click("#compare")
    wait(page, "playground.recipes.length === 2 && document.querySelectorAll('.view canvas').length === 2")
    assert "equal so far" in page.locator(".tabs p").text_content()  # type: ignore[operator]
    page.get_by_role("switch", name="r1").click()
    wait(page, "'r1' in playground.recipes[1].objective && !('r1' in playground.recipes[0].objective)")
    assert "They differ in objective.r1" in page.locator(".tabs p").text_content()  # type: ignore[operator]
    page.locator('[data-layer="arrows"]').click()
    page.click("#step")
    wait(page, f"{STEP} === 1")
    assert colours(page, 0) > 30 and colours(page, 1) > 30
    other = new_page(1500, 1000)
    other.goto(page.url)
    wait(other, "Boolean(window.playground?.frame && playground.recipes.length === 2)")
    settings = "JSON.stringify([playground.state, playground.recipes])"
    assert other.evaluate(settings) == page.evaluate(settings) and other.url == page.url
    assert "arrows" in other.evaluate("playground.state.hidden")
    page.get_by_role("button", name="Players A").click()
    assert page.evaluate("playground.chosen") == 0
    page.click("#compare")
    wait(page, "playground.recipes.length === 1")


def test_slow_motion_lights_each_part_and_ends(opened: Open) -> None:
    page = opened(RING.replace("hinge", "as_gan") + "&objective.as_gan.warmup=0", reduced_motion="reduce")
    page.click("#slow")
    titles = []
    for _ in range(6):
        page.wait_for_selector(".lesson b")
        titles.append(page.locator(".lesson b").text_content())
        assert colours(page) > 20
        page.locator(".lesson button").click()
    wanted = ["A batch", "The discriminator's update", "The attack", "The discriminator's second update"]
    assert titles == [*wanted, "The generator's gradient", "The generator's update"]
    assert page.locator(".lesson").count() == 0
    wait(page, f"{STEP} === 1")


def test_sharing_gives_python_a_recipe_a_command_a_picture_and_a_film(opened: Open) -> None:
    page = opened()
    page.click("#play")
    wait(page, f"{STEP} > 12")
    page.click("#play")
    page.click("#share")
    text = page.locator("#dialog pre")
    wait(page, "document.querySelector('#dialog pre').textContent.includes('ToySession(here, recipe)')")
    page.click('[data-export="recipe"]')
    assert "objective:" in (text.text_content() or "")
    page.click('[data-export="command"]')
    assert (text.text_content() or "").startswith("sparring toy ring-8 hinge")
    assert page.locator("#link").input_value() == page.url
    with page.expect_download() as film:
        page.click("#film")
    with Image.open(film.value.path()) as picture:
        assert picture.format == "GIF" and picture.n_frames > 2 and picture.size == (360, 360)
        assert len(picture.convert("RGB").getcolors(2**20) or ()) > 20
    with page.expect_download() as still:
        page.get_by_role("button", name="Save the picture").click()
    with Image.open(io.BytesIO(still.value.path().read_bytes())) as picture:
        assert picture.format == "PNG" and picture.width > 300


def test_a_world_is_drawn_by_mouse_and_by_keyboard(opened: Open) -> None:
    page = opened()
    page.click("#draw")
    box = page.locator(".sheet").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 90, steps=12)
    page.mouse.up()
    page.get_by_role("button", name="Negatives").click()
    sheet = page.locator(".sheet")
    sheet.focus()
    for key in ("ArrowRight", "ArrowUp", " "):
        sheet.press(key)
    page.get_by_role("button", name="Use this world").click()
    wait(page, "playground.world.name === 'drawn' && Boolean(playground.frame)")
    assert page.evaluate("[playground.state.world.points.length >= 12, playground.state.world.negatives.length]") == [
        True,
        3,
    ]
    page.click("#step")
    wait(page, f"{STEP} === 1")
    fragment, state = page.evaluate("[location.hash, JSON.stringify(playground.state)]")
    again = opened(fragment, 1500, 1000)
    assert again.evaluate("JSON.stringify(playground.state)") == state


def test_the_tour_sets_seven_scenes(opened: Open) -> None:
    page = opened()
    page.click("#tour")
    assert page.locator(".scenes button").count() == 7
    page.locator(".scenes button").first.click()
    for i in range(7):
        wait(page, f"document.querySelector('#scene b').textContent.startsWith('{i + 1}.') && {STEP} > 0")
        no_alarm(page)
        if i < 6:
            page.get_by_role("button", name="Next scene").click()
    page.get_by_role("button", name="End the tour").click()
    assert page.locator("#scene").is_hidden()


def test_the_keyboard_alone_is_enough(opened: Open) -> None:
    page = opened(RING, 1280, 800)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the picture"
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    wait(page, f"{STEP} > 3")
    page.keyboard.press("Space")
    wait(page, "!playground.frame.playing")
    at = page.evaluate(STEP)
    page.keyboard.press("ArrowRight")
    wait(page, f"{STEP} === {at + 1}")
    page.keyboard.press("ArrowLeft")
    wait(page, f"{STEP} === {max(0, at - 24)}")
    page.keyboard.press("c")
    wait(page, "playground.recipes.length === 2")
    seen = set()
    for _ in range(90):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert {
        "world",
        "method",
        "method-b",
        "compare",
        "share",
        "play",
        "step",
        "slow",
        "time",
        "Players B",
        "seed",
        "draw",
    } <= seen
    page.focus("#tour")
    page.keyboard.press("Enter")
    assert page.locator("#dialog").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#dialog").is_hidden() and page.evaluate("document.activeElement.id") == "tour"


def test_an_alarm_and_the_servers_end_are_told(opened: Open) -> None:
    page = opened()
    page.evaluate("playground.set('generator.optimizer.lr', 0.0999)")
    page.evaluate("playground.setAll({ 'generator.optimizer.kind': 'sgd', 'generator.optimizer.lr': 100000 })")
    page.click("#play")
    wait(page, "document.querySelector('#alarm').textContent.includes('diverged')")
    assert page.locator("#play").text_content() == "Play" and page.locator("#alarm").get_attribute("role") == "alert"
    page.click("#again")
    wait(page, f"{STEP} === 0")
    no_alarm(page)
    page.evaluate("playground.link.socket.close()")
    page.get_by_text("The server has ended this session").wait_for()
