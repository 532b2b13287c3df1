"""The report as a document: complete, self-contained, escaped, small; its machine-readable companions valid."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import jsonschema
import pytest

from proofs_check import report
from proofs_check.evidence import Counterexample, Evidence, MutantResult, Part, RunResult, Slack, Verdict
from proofs_check.lints import bound_slack, lint
from proofs_check.report.mathml import formula
from proofs_check.report.sample import sample_figures, sample_run
from proofs_check.report.svg import evidence_plot, inline_svg, log_position, loglog_plot
from proofs_check.report.view import claim_views, number, short_slack

VOID = {"meta", "link", "input", "br", "img", "circle", "line", "path", "rect", "use", "polyline", "hr"}
# The page promises to hold 140 claims in less than this.
LARGEST_PAGE = 3_000_000


class Page(HTMLParser):
    """Collects what the tests ask about, and insists on balanced tags."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.ids, self.links, self.open, self.text, self.elements = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if "href" in attributes:
            self.links.append(attributes["href"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)

    @property
    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.fixture(scope="module")
def sample():
    result, figures = sample_run(), sample_figures()
    text = report.render(result, figures)
    return result, figures, text, Page(text)


def a_part(**fields):
    return Evidence(Part(0, "default", "coins", 0, 0.1, 1.0, "coins(n=20)@0.1"), fields.pop("status", "VERIFIED"), **fields)


def a_run(*verdicts, **summaries):
    base = {
        "kind": "tail",
        "system": "lp_embeddings",
        "topic": "lp_embeddings/samplers",
        "plain": "a statement",
        "alpha_R": 1e-6,
        "alpha_A": 1e-3,
    }
    return RunResult(
        verdicts, {v.claim: base | {"id": v.claim} | summaries.get(v.claim.replace("-", "_"), {}) for v in verdicts}, "quick", 7, 1.0, {}
    )


# ----------------------------------------------------------------------------------------------------------------------- the page


def test_every_claim_has_a_row_and_a_section_that_the_row_leads_to(sample):
    result, _, _, page = sample
    anchors = {f"claim-{verdict.claim}" for verdict in result.verdicts}
    assert anchors <= set(page.ids)
    assert {f"#{anchor}" for anchor in anchors} <= set(page.links)
    assert len([a for tag, a in page.elements if tag == "tr" and "data-status" in a]) == 140


def test_identifiers_are_unique_and_internal_links_lead_somewhere(sample):
    page = sample[3]
    assert len(page.ids) == len(set(page.ids))
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert inside <= set(page.ids)


def test_nothing_is_loaded_from_anywhere(sample):
    page = sample[3]
    outside = [link for link in page.links if not link.startswith("#") and not link.startswith("data:")]
    assert outside == []
    assert not [a for _, a in page.elements if "src" in a or "srcset" in a]
    assert "@import" not in sample[2]
    policy = next(a["content"] for tag, a in page.elements if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy


def test_a_hundred_and_forty_claims_stay_below_three_megabytes(sample):
    assert len(sample[2].encode()) < LARGEST_PAGE


def test_the_head_states_counts_bounds_budget_and_how_to_run_again(sample):
    result, _, _, page = sample
    head = page.words.split("How loose is each bound?")[0]
    for status, count in result.counts.items():
        assert re.search(rf"\b{count} {status}", head), status
    loosest = min((c for c in claim_views(result) if c.slack and c.status != "REFUTED"), key=lambda c: c.slack.worst)
    assert f"Loosest bound {loosest.worst} {loosest.id}" in head
    assert "≤ 1.4e−4" in head  # 140 claims at 1e-6 each
    assert "≤ 0.13" in head  # 1 - (1 - 1e-3) ** 140
    assert "python -m proofs_check run" in head


def test_formulas_are_mathml(sample):
    text = sample[2]
    assert text.count("<math") == 140


def test_figures_keep_their_own_identifiers(sample):
    _, figures, text, page = sample
    assert sum(tag == "figure" and attributes.get("class") == "chart" for tag, attributes in page.elements) == len(figures)
    assert {"drawing-1-clip", "drawing-2-clip", "drawing-1-dot", "figure-invented-0"} <= set(page.ids)
    assert "url(#drawing-3-clip)" in text


def test_names_and_messages_are_escaped():
    hostile = '<script>alert("x")</script>'
    part = replace(a_part(reason=hostile), part=Part(0, "s", "f", 0, 0.1, 1.0, hostile))
    mutant = MutantResult("m", "LP-01", "bound", "survived", hostile, reason=hostile)
    shown = Counterexample(hostile, "LP-01", "", hostile, 1.0, 0.5, 2.0, hostile)
    verdict = Verdict("LP-01", "REFUTED", hostile, (part,), (shown,), (mutant,))
    result = replace(
        a_run(
            verdict,
            LP_01={
                "title": hostile,
                "plain": hostile,
                "tex": hostile,
                "topic": f"x/{hostile}",
                "families": [{"name": hostile, "role": "real"}],
            },
        ),
        provenance={"commit": hostile},
        notes=(hostile,),
    )
    figure = sample_figures(1)[0] | {"title": hostile, "caption": hostile, "alt": hostile, "provenance": {"k": hostile}}
    text = report.render(result, [figure])
    page = Page(text)
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert page.words.count("alert") >= 10  # shown as text wherever it was put


def test_only_the_page_s_own_script_may_run(sample):
    import base64
    import hashlib

    script = re.search(r"<script>(.*?)</script>", sample[2], re.S).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in sample[2] or f"script-src 'sha256-{digest}'" in sample[2]


def test_an_empty_run_still_makes_a_page():
    page = Page(report.render(RunResult((), {}, "quick", 0, 0.0, {})))
    assert "0 claims on trial" in page.words


def test_a_refuted_claim_shows_numbers_and_the_replay_command():
    shown = Counterexample("9f2c41d0", "LP-01", "", "coins(n=20)@0.1", 0.75, 0.5, 1.5, "somewhere.json")
    page = Page(report.render(a_run(Verdict("LP-01", "REFUTED", "E = 3e7", (a_part(status="REFUTED"),), (shown,)))))
    assert "measured 0.750 against a bound of 0.500 , slack 1.500" in page.words
    assert "python -m proofs_check replay 9f2c41d0" in page.words
    assert "which side is wrong" in page.words


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        ("VERIFIED", "tail", "Not that the failure probability is at most δ"),
        ("VERIFIED", "rate", "Nothing about sizes outside the window"),
        ("SURVIVED", "inequality", "This is not a proof"),
        ("INCONCLUSIVE", "tail", "Neither “true” nor “false”"),
        ("UNAVAILABLE", "tail", "Nothing was checked"),
        ("ERROR", "tail", "Nothing about the claim itself"),
    ],
)
def test_every_verdict_says_what_it_does_not_mean(status, kind, sentence):
    page = Page(report.render(a_run(Verdict("LP-01", status), LP_01={"kind": kind})))
    assert sentence in page.words


def test_surviving_mistakes_and_warnings_are_listed_first_and_last():
    mutant = MutantResult("half", "LP-01", "bound", "survived", "2n became 8n")
    verdict = Verdict("LP-01", "VERIFIED", "", (a_part(slack=Slack(0.5, 0.4, 0.3)),), (), (mutant,))
    page = Page(report.render(a_run(verdict)))
    assert "Not noticed: LP-01 half: 2n became 8n" in page.words
    assert "PC-LOOSE" in page.words
    assert "PC-TOOTHLESS" in page.words


def test_calibration_and_other_sections_can_be_added():
    text = report.render(a_run(Verdict("LP-01", "VERIFIED")), sections=[("Calibration", [("false refutations", "4.7e-7")])])
    assert "Calibration" in Page(text).words
    assert "4.7e-7" in text


def test_the_judge_s_own_trial_is_shown_when_it_was_held():
    from proofs_check.broken_checkers import BrokenChecker
    from proofs_check.calibration import BettingStream, Calibration, EngineAgreement, PowerCurve

    held = Calibration(
        "quick",
        (),
        (PowerCurve(0.1, 1536, (0.05, 0.1, 0.2), (0.0, 0.0, 1.0), (1.0, 0.9, 0.0), (0.0, 0.1, 0.0)),),
        (
            BrokenChecker("peeks", "reads too often", 0.01, 0.109, 0.005, "exact"),
            BrokenChecker("fine", "none", 0.01, 0.005, 0.005, "exact"),
        ),
        (BettingStream("coins", 0.05, 0.03, 400, 16),),
        (EngineAgreement(0.1, 60, 1, 50, 0.02, 0.8),),
        ("something is off",),
        1.0,
    )
    page = Page(report.render(a_run(Verdict("LP-01", "VERIFIED")), calibration=held))
    assert "Not as it should be: something is off" in page.words
    assert "peeks reads too often 0.010 0.109 0.0050 yes exact" in page.words
    assert "fine none 0.010 0.00500 0.0050 no exact" in page.words
    assert "1 of 60 runs refuted (0.0200 expected by the exact law)" in page.words


def test_the_file_is_written_whole(tmp_path):
    path = report.write(a_run(Verdict("LP-01", "VERIFIED")), path=tmp_path / "deep" / "index.html")
    assert path.read_text().endswith("</html>\n") or path.read_text().rstrip().endswith("</html>")
    assert [p.name for p in path.parent.iterdir()] == ["index.html"]


def test_the_page_is_the_same_every_time(sample):
    assert report.render(sample_run(), sample_figures()) == sample[2]


# ------------------------------------------------------------------------------------------------------------- numbers and drawings


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1.00"),
        (12345.0, "1.23e4"),
        (0.5, "0.500"),
        (float("inf"), "∞"),
        (float("nan"), "–"),
        (-0.001, "−0.00100"),
        (9999.0, "9999"),
    ],
)
def test_numbers_have_three_significant_digits(value, text):
    assert number(value) == text


def test_slack_lines_up_on_three_decimals():
    assert [short_slack(v) for v in (1.0, 0.7412, 12.3456, 0.0, 1e-5, None)] == ["1.000", "0.741", "12.346", "0.000", "1e−5", "–"]


def test_log_axis_is_monotone_and_clipped():
    values = [log_position(v, 0.01, 2.0) for v in (0.0, 0.005, 0.01, 0.1, 1.0, 2.0, 50.0)]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (0.0, 100.0)


def test_the_evidence_plot_marks_both_thresholds_and_stays_small():
    path = tuple((64 * i, -0.1 * i, 0.02 * i) for i in range(1, 400))
    plot = evidence_plot(path, 1e-6, 1e-3)
    assert {text for _, _, text, _ in plot.marks} == {"refuted at 1e6", "accepted at 1e3"}
    assert len(re.findall(r"[\d.]+,[\d.]+", plot.svg)) <= 200
    accept = next(y for _, y, text, _ in plot.marks if text.startswith("accepted"))
    refute = next(y for _, y, text, _ in plot.marks if text.startswith("refuted"))
    assert 0 < refute < accept < 100


def test_a_part_without_acceptance_draws_one_curve():
    plot = evidence_plot(((64, 1.0, float("nan")), (128, 2.0, float("nan"))), 1e-6, 1e-3)
    assert plot.svg.count("<polyline") == 1


def test_a_power_law_is_a_straight_line_on_logarithmic_axes():
    sizes = [100.0, 200.0, 400.0, 800.0]
    plot = loglog_plot(sizes, [n**-0.5 for n in sizes], 0.5)
    x, y = zip(
        *[tuple(map(float, p.split(","))) for p in re.findall(r"[\d.]+,[\d.]+", plot.svg.split("c-accept")[1].split("/>")[0])], strict=True
    )
    slopes = [(y[i + 1] - y[i]) / (x[i + 1] - x[i]) for i in range(3)]
    assert slopes == pytest.approx([slopes[0]] * 3, rel=2e-2)


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="10pt" height="10pt">{}</svg>'


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        '<g onclick="alert(1)"/>',
        '<a href="javascript:alert(1)"><text>x</text></a>',
        '<image href="http://example.org/x.png"/>',
        '<use xlink:href="http://example.org/x.svg#a"/>',
        "<foreignObject><iframe/></foreignObject>",
        '<rect style="fill: url(http://example.org/x)"/>',
        "<style>@import url(http://example.org/x.css); rect {fill: red}</style>",
        "<metadata>http://example.org</metadata>",
    ],
)
def test_foreign_drawings_lose_what_could_act_or_leave_the_page(inside):
    cleaned = inline_svg(SVG.format(inside), "f1")
    assert not re.search(r"alert|example\.org|foreignObject|iframe|@import", cleaned)


def test_style_rules_of_a_drawing_stay_inside_it():
    cleaned = inline_svg(SVG.format("<style>*{stroke: red} .a, #b {fill: url(#c)}</style>"), "f1")
    assert "#f1 *{stroke: red}" in cleaned
    assert "#f1 .a,#f1 #f1-b{fill: url(#f1-c)}" in cleaned


def test_an_embedded_bitmap_survives():
    assert "data:image/png;base64,AAAA" in inline_svg(SVG.format('<image href="data:image/png;base64,AAAA"/>'), "f1")


@pytest.mark.parametrize("text", ["<svg", "<html/>", '<!DOCTYPE svg [<!ENTITY a "b">]><svg/>'])
def test_what_is_no_drawing_is_refused_by_name(text):
    with pytest.raises(ValueError, match="figure 'f1'"):
        inline_svg(text, "f1")


def test_a_real_matplotlib_drawing_passes():
    import io

    from matplotlib.figure import Figure

    figure = Figure(figsize=(3, 2))
    figure.subplots().plot([1, 2, 3], [1, 4, 9])
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    cleaned = inline_svg(buffer.getvalue(), "f1", "a parabola")
    assert 'aria-label="a parabola"' in cleaned
    references = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", cleaned))
    assert references
    assert references <= set(re.findall(r'id="([^"]+)"', cleaned))


def test_formulas_that_cannot_be_converted_are_shown_as_written(monkeypatch):
    import latex2mathml.converter

    formula.cache_clear()
    monkeypatch.setattr(latex2mathml.converter, "convert", lambda *a, **k: 1 / 0)
    assert formula("a < b") == '<code class="tex">a &lt; b</code>'
    formula.cache_clear()
    assert formula(" ") == ""


# ----------------------------------------------------------------------------------------------------------------- lints and formats


def test_loose_claims_are_named_unless_they_have_a_companion():
    verdict = Verdict("LP-01", "VERIFIED", "", (a_part(slack=Slack(0.74, 0.5, 0.2)),))
    assert [found.code for found in lint(verdict, {"kind": "tail"})] == ["PC-LOOSE"]
    assert lint(verdict, {"kind": "tail", "companions": ["LP-02"]}) == ()
    assert lint(replace(verdict, parts=(a_part(slack=Slack(0.76, 0.5, 0.2)),)), {"kind": "tail"}) == ()
    assert bound_slack(verdict, {"kind": "identity"}) is None
    event = replace(verdict, parts=(a_part(slack=Slack(0.0, 0.0, 0.0)),))
    assert bound_slack(event, {"kind": "tail"}) is None
    assert bound_slack(event, {"kind": "inequality"}) is not None  # an error of exactly zero


def test_a_claim_that_only_a_companion_defends_is_toothless():
    mutant = MutantResult("m", "LP-01", "impl", "killed", "w", killer="LP-02")
    verdict = Verdict("LP-01", "VERIFIED", mutants=(mutant,))
    assert [found.code for found in lint(verdict, {"kind": "identity"})] == ["PC-TOOTHLESS"]
    assert lint(replace(verdict, mutants=(replace(mutant, killer="LP-01"),)), {"kind": "identity"}) == ()


def test_junit_counts_refutations_and_survivors_as_failures():
    result = sample_run()
    suite = ET.fromstring(report.junit_xml(result)).find("testsuite")
    survivors = sum(m.status == "survived" for v in result.verdicts for m in v.mutants)
    assert int(suite.get("failures")) == result.counts["REFUTED"] + survivors
    assert int(suite.get("errors")) == result.counts["ERROR"]
    assert int(suite.get("skipped")) == result.counts["INCONCLUSIVE"] + result.counts["UNAVAILABLE"]
    assert int(suite.get("tests")) == len(suite.findall("testcase"))


def test_junit_survives_characters_that_xml_cannot_hold(tmp_path):
    path = report.write_junit(a_run(Verdict("LP-01", "ERROR", "bell \x07 and <tag> & \ud800")), tmp_path / "j.xml")
    message = ET.parse(path).find(".//error").get("message")
    assert message == "ERROR: bell  and <tag> & "


def test_result_lines_follow_the_schema():
    from proofs_check.results import result_lines

    validator = jsonschema.Draft202012Validator(report.schema())
    jsonschema.Draft202012Validator.check_schema(report.schema())
    lines = [json.loads(json.dumps(line)) for line in result_lines(sample_run(30))]
    assert {line["type"] for line in lines} == {"run", "claim", "mutant"}
    for line in lines:
        validator.validate(line)


@pytest.mark.parametrize("damage", [{"status": "FINE"}, {"n": -1}, {"claim": "lp-1"}, {"expected": None}])
def test_the_schema_refuses_damaged_lines(damage):
    from proofs_check.results import result_lines

    claim = next(json.loads(json.dumps(line)) for line in result_lines(sample_run(3)) if line["type"] == "claim")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(claim | damage, report.schema(), cls=jsonschema.Draft202012Validator)


def test_a_report_of_results_read_back_is_the_same(tmp_path):
    from proofs_check.results import load_results, write_results

    result = replace(sample_run(12), results=str(tmp_path / "results.jsonl"), records=str(tmp_path / "records.jsonl"))
    write_results(result, tmp_path / "results.jsonl")
    assert report.render(load_results(tmp_path)) == report.render(result)
