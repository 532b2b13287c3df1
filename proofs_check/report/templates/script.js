(function () {
  "use strict";
  document.documentElement.classList.add("script");
  var $ = function (id) { return document.getElementById(id); };
  var table = $("claim-table");
  if (!table) { return; }
  var body = table.tBodies[0];
  var rows = Array.prototype.slice.call(body.rows);
  var chips = Array.prototype.slice.call(document.querySelectorAll(".chip"));

  function pressed() {
    return chips.filter(function (c) { return c.getAttribute("aria-pressed") === "true"; }).map(function (c) { return c.dataset.status; });
  }
  function filter() {
    var words = $("f-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    var system = $("f-system").value, kind = $("f-kind").value, statuses = pressed(), shown = 0;
    rows.forEach(function (row) {
      var keep = (!system || row.dataset.system === system) && (!kind || row.dataset.kind === kind) &&
        (!statuses.length || statuses.indexOf(row.dataset.status) >= 0) &&
        words.every(function (word) { return row.dataset.text.indexOf(word) >= 0; });
      row.hidden = !keep;
      shown += keep ? 1 : 0;
    });
    $("f-count").textContent = shown + " of " + rows.length + " shown";
    $("f-empty").hidden = shown > 0;
  }
  ["f-text", "f-system", "f-kind"].forEach(function (id) { $(id).addEventListener("input", filter); });
  chips.forEach(function (chip) {
    chip.addEventListener("click", function () {
      chip.setAttribute("aria-pressed", chip.getAttribute("aria-pressed") === "true" ? "false" : "true");
      filter();
    });
  });
  $("f-reset").addEventListener("click", function () {
    $("f-text").value = ""; $("f-system").value = ""; $("f-kind").value = "";
    chips.forEach(function (c) { c.setAttribute("aria-pressed", "false"); });
    filter();
  });

  function value(row, column, numeric) {
    var cell = row.cells[column], text = cell.dataset.v === undefined ? cell.textContent.trim() : cell.dataset.v;
    return numeric ? (text === "" ? NaN : parseFloat(text)) : text.toLowerCase();
  }
  Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, column) {
    var button = document.createElement("button"), numeric = head.dataset.sort === "number";
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.appendChild(button);
    button.addEventListener("click", function () {
      var down = head.getAttribute("aria-sort") === "ascending";
      Array.prototype.forEach.call(table.tHead.rows[0].cells, function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      rows.slice().sort(function (a, b) {
        var x = value(a, column, numeric), y = value(b, column, numeric);
        if (numeric && (isNaN(x) || isNaN(y))) { return isNaN(x) ? (isNaN(y) ? 0 : 1) : -1; }
        return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
      }).forEach(function (row) { body.appendChild(row); });
    });
  });

  document.addEventListener("click", function (event) {
    var button = event.target.closest ? event.target.closest(".copy") : null;
    if (!button) { return; }
    var done = function () { button.textContent = "copied"; setTimeout(function () { button.textContent = "copy"; }, 1500); };
    var area = document.createElement("textarea");
    area.value = button.dataset.copy;
    document.body.appendChild(area);
    area.select();
    try { if (document.execCommand("copy")) { done(); } } finally { area.remove(); }
  });
  window.addEventListener("beforeprint", function () {
    Array.prototype.forEach.call(document.querySelectorAll("details"), function (d) { d.open = true; });
  });
})();
