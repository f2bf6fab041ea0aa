/* A button beside each text that is to be copied. Without this script it is plain text. */
"use strict";

(() => {
    if (!navigator.clipboard) {
        return; // an address without TLS
    }
    const COPIED_MS = 2000;
    const SVG = "http://www.w3.org/2000/svg";
    const TWO_SHEETS = "M5 1h9v10h-2M2 5h9v10H2z";
    const TICK = "M2 8l4 5 8-11";

    const icon = (path) => {
        const svg = document.createElementNS(SVG, "svg");
        svg.setAttribute("viewBox", "0 0 16 16");
        svg.setAttribute("width", "12");
        svg.setAttribute("height", "12");
        svg.setAttribute("aria-hidden", "true");
        const line = svg.appendChild(document.createElementNS(SVG, "path"));
        line.setAttribute("d", path);
        line.setAttribute("fill", "none");
        line.setAttribute("stroke", "currentColor");
        line.setAttribute("stroke-width", "1.5");
        return svg;
    };

    const addButton = (copied) => {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "zoho-copy-button";
        button.title = copied.dataset.copyLabel;
        button.setAttribute("aria-label", copied.dataset.copyLabel);
        button.append(icon(TWO_SHEETS));
        button.addEventListener("click", async () => {
            await navigator.clipboard.writeText(copied.dataset.copy);
            button.replaceChildren(icon(TICK));
            button.setAttribute("aria-label", copied.dataset.done);
            setTimeout(() => {
                button.replaceChildren(icon(TWO_SHEETS));
                button.setAttribute("aria-label", copied.dataset.copyLabel);
            }, COPIED_MS);
        });
        copied.append(" ", button);
    };

    document.addEventListener("DOMContentLoaded", () => {
        document.querySelectorAll("[data-copy]").forEach(addButton);
    });
})();
