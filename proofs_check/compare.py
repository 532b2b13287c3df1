"""What a change moved: verdicts, slack, kills and seconds between two runs."""

import math

from proofs_check.evidence import RunResult, Verdict

# Smaller moves of the slack are the order statistics of another sample rather than another bound.
SLACK_MOVE = 0.02
# Seconds are noisy; a factor of two is worth a line.
SECONDS_FACTOR = 2.0
SECONDS_FLOOR = 0.5


def compare_runs(before: RunResult, after: RunResult) -> list[str]:
    """List the differences, one line each, the claims in the order of the later run.

    Returns
    -------
    list of str
        Ends with a summary; a run compared with itself gives the summary alone.
    """
    old = {verdict.claim: verdict for verdict in before.verdicts}
    new = {verdict.claim: verdict for verdict in after.verdicts}
    lines = [f"{claim}: only in the first run ({old[claim].status})" for claim in old if claim not in new]
    for claim, verdict in new.items():
        if claim not in old:
            lines.append(f"{claim}: only in the second run ({verdict.status})")
        else:
            lines += _moves(old[claim], verdict)
    if (before.tier, before.root) != (after.tier, after.root):
        lines.append(f"the runs differ in tier or root: {before.tier}, {before.root} against {after.tier}, {after.root}")
    same = sum(claim in old for claim in new)
    lines.append(f"{same} claims in both runs, {len(lines)} differences, {before.seconds:.1f} s and {after.seconds:.1f} s")
    return lines


def _moves(a: Verdict, b: Verdict) -> list[str]:
    lines = []
    if a.status != b.status:
        lines.append(f"{b.claim}: {a.status} -> {b.status} ({b.reason})")
    x, y = a.slack, b.slack
    if x is not None and y is not None and x.worst != y.worst and not math.isclose(x.worst, y.worst, rel_tol=SLACK_MOVE):
        lines.append(f"{b.claim}: worst slack {x.worst:.4g} -> {y.worst:.4g}")
    fates = {mutant.id: mutant.status for mutant in a.mutants}
    for mutant in b.mutants:
        if fates.get(mutant.id, "absent") != mutant.status:
            lines.append(f"{b.claim}: mutant {mutant.id} {fates.get(mutant.id, 'absent')} -> {mutant.status}")
    slow, fast = max(a.seconds, b.seconds), min(a.seconds, b.seconds)
    if slow > SECONDS_FLOOR and slow > SECONDS_FACTOR * fast:
        lines.append(f"{b.claim}: {a.seconds:.1f} s -> {b.seconds:.1f} s")
    return lines
