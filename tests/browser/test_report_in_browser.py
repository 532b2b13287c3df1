"""The report in a real browser: nothing is requested, nothing complains, filters and sorting work, no width makes it scroll sideways."""

import json
import shutil
from pathlib import Path

import pytest

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM.exists() and DRIVER.exists()), reason="no browser: apt-get install chromium chromium-driver, then make browser-test"
    ),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    from proofs_check.report import write
    from proofs_check.report.sample import sample_figures, sample_run

    result, figures = sample_run(), sample_figures()
    return write(result, figures, tmp_path_factory.mktemp("report") / "index.html"), result, figures


@pytest.fixture(scope="module")
def browser(report, tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    profile = tmp_path_factory.mktemp("profile")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        driver.get(report[0].as_uri())
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)


def visible_rows(browser):
    return [row for row in browser.find_elements("css selector", "#claim-table tbody tr") if row.is_displayed()]


def first_cells(browser, column):
    script = "return Array.from(document.querySelectorAll('#claim-table tbody tr')).map(r => r.cells[arguments[0]].dataset.v)"
    return browser.execute_script(script, column)


def resize(browser, width, height=900):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def test_no_request_leaves_the_page(browser, report):
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    # The browser's own start page makes requests too; those of the report name it as their document.
    requested = {params["request"]["url"] for params in sent if params["documentURL"].split("#")[0] == report[0].as_uri()}
    outside = {url for url in requested if not url.startswith("data:")} - {report[0].as_uri()}
    assert report[0].as_uri() in requested
    assert outside == set()


def test_the_console_is_silent(browser):
    assert browser.get_log("browser") == []


def test_every_claim_and_figure_is_there(browser, report):
    _, result, figures = report
    shown = [row.find_element("css selector", "th a").text for row in visible_rows(browser)]
    assert shown == [verdict.claim for verdict in result.verdicts]
    assert len(browser.find_elements("css selector", "article.claim")) == len(result.verdicts)
    assert all(box.rect["height"] > 100 for box in browser.find_elements("css selector", "figure.chart .paper svg"))
    assert len(browser.find_elements("css selector", "figure.chart")) == len(figures)


def test_formulas_are_drawn(browser):
    formulas = browser.find_elements("css selector", "article .math math")
    assert len(formulas) == 140
    assert all(box.rect["height"] > 10 and box.rect["width"] > 10 for box in formulas[:10])


def test_filters_combine_and_can_be_undone(browser, report):
    _, result, _ = report
    chip = browser.find_element("css selector", ".chip[data-status=REFUTED]")
    chip.click()
    assert {row.get_attribute("data-status") for row in visible_rows(browser)} == {"REFUTED"}
    assert len(visible_rows(browser)) == result.counts["REFUTED"]
    assert browser.find_element("id", "f-count").text == f"{result.counts['REFUTED']} of 140 shown"
    box = browser.find_element("id", "f-text")
    box.send_keys("no such claim")
    assert visible_rows(browser) == []
    browser.find_element("id", "f-reset").click()
    assert len(visible_rows(browser)) == 140


def test_the_search_needs_every_word(browser):
    box = browser.find_element("id", "f-text")
    box.send_keys("lewis contracts")
    titles = [row.find_element("css selector", ".title").text.lower() for row in visible_rows(browser)]
    box.clear()
    box.send_keys(" ")
    assert titles
    assert all("lewis" in title and "contracts" in title for title in titles)
    browser.execute_script("arguments[0].value=''; arguments[0].dispatchEvent(new Event('input'))", box)


def test_a_click_on_a_heading_sorts_numbers_as_numbers(browser):
    head = browser.find_elements("css selector", "#claim-table thead th button")[4]
    head.click()
    values = [float(v) for v in first_cells(browser, 4) if v]
    assert values == sorted(values)
    head.click()
    values = [float(v) for v in first_cells(browser, 4) if v]
    assert values == sorted(values, reverse=True)
    assert first_cells(browser, 4)[-1] == ""  # claims without a slack stay at the end either way
    browser.find_elements("css selector", "#claim-table thead th button")[0].click()


def test_a_row_leads_to_its_section(browser):
    row = visible_rows(browser)[11]
    link = row.find_element("css selector", "th a")
    claim = link.text
    link.click()
    article = browser.find_element("id", f"claim-{claim}")
    assert -5 < browser.execute_script("return arguments[0].getBoundingClientRect().top", article) < 200


def test_wide_drawings_scroll_in_their_box_instead_of_shrinking(browser):
    found = "[...document.querySelectorAll('.paper .scroller')]"
    boxes = f"return {found}.map(box => [box.firstElementChild.getBoundingClientRect().width, box.clientWidth])"
    resize(browser, 360)
    drawn = browser.execute_script(boxes)
    assert drawn
    assert all(width >= 0.85 * 640 - 1 > inside for width, inside in drawn)
    resize(browser, 1280)
    assert all(abs(width - inside) <= 1 for width, inside in browser.execute_script(boxes))


@pytest.mark.parametrize("width", [360, 390, 768, 1280, 1920])
def test_no_width_scrolls_sideways(browser, width):
    resize(browser, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_stands_out_from_its_background(browser, scheme):
    """Contrast of at least 4.5, the usual rule for text of normal size, for each colour that carries a verdict or a sentence."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    selectors = ["body", ".lead", ".note", "a", *(f".verdict.s-{s}" for s in ("VERIFIED", "SURVIVED", "INCONCLUSIVE", "REFUTED", "ERROR"))]
    script = "return getComputedStyle(document.querySelector(arguments[0])).color"
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    ratios = {s: contrast(browser.execute_script(script, s), background) for s in selectors}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert min(ratios.values()) >= 4.5, ratios


def contrast(one, other):
    """Ratio of relative luminances."""

    def luminance(colour):
        channels = [float(c) / 255 for c in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_page_can_be_read_without_its_script(browser, report):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(report[0].as_uri())
        assert len(visible_rows(browser)) == 140
        assert not browser.find_element("css selector", ".filters").is_displayed()
        assert browser.find_element("css selector", "article.claim .plain").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        browser.get(report[0].as_uri())
