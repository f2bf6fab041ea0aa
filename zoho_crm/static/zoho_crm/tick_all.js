/* A box in the heading of a column of boxes, which ticks all of them. Without this script each is
   ticked by itself. */
"use strict";

(() => {
    const addBox = (heading) => {
        const rows = heading.closest("table").tBodies[0];
        const boxes = [...rows.querySelectorAll("input[type=checkbox]")];
        const all = document.createElement("input");
        all.type = "checkbox";
        all.setAttribute("aria-label", heading.dataset.tickAll);
        const show = () => {
            const ticked = boxes.filter((box) => box.checked).length;
            all.checked = ticked === boxes.length;
            all.indeterminate = ticked > 0 && !all.checked;
        };
        all.addEventListener("change", () => {
            boxes.forEach((box) => {
                box.checked = all.checked;
            });
        });
        rows.addEventListener("change", show);
        show();
        heading.replaceChildren(all);
    };

    document.addEventListener("DOMContentLoaded", () => {
        document.querySelectorAll("[data-tick-all]").forEach(addBox);
    });
})();
