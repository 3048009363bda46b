"use strict";
// Sort a table by a column: the header becomes a button. Without this script, tables keep their order.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const valueOf = (row, place) => row.cells[place].dataset.value ?? row.cells[place].textContent.trim();
  heads.forEach((head, place) => {
    if (!head.textContent.trim() || head.classList.contains("unsorted")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = head.textContent.trim();
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const isNumber = head.classList.contains("n");
      const descending = head.ariaSort ? head.ariaSort === "ascending" : isNumber;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.ariaSort = descending ? "descending" : "ascending";
      const rows = [...body.rows].sort((one, other) => {
        const [a, b] = [valueOf(one, place), valueOf(other, place)];
        return (isNumber ? Number(a) - Number(b) : a.localeCompare(b)) * (descending ? -1 : 1);
      });
      body.replaceChildren(...rows);
    });
  });
}
document.documentElement.dataset.ready = "true";
