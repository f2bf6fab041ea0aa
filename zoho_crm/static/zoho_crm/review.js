/* Keys, and the number of ticked leads, for the review of a run. Without it everything is a click. */
"use strict";

(() => {
    const KEYS_OFF = "zoho-review-keys-off";
    const FIELDS = "input:not([type=checkbox]), select, textarea, [contenteditable]";

    const form = document.getElementById("zoho-review");
    if (!form) {
        return;
    }
    const leads = [...form.querySelectorAll("tbody[data-lead]")];
    const tickOf = (lead) => lead.querySelector("input[name=row]");
    const detailsOf = (lead) => lead.querySelector("details");
    const focusOn = (lead) => lead?.querySelector("summary").focus();
    const current = () => document.activeElement?.closest("tbody[data-lead]");

    /* Ticks */

    const ticks = leads.map(tickOf).filter(Boolean);
    const all = document.getElementById("zoho-tick-all");
    const ticked = form.querySelector(".zoho-ticked");

    const showTicked = () => {
        const count = ticks.filter((tick) => tick.checked).length;
        ticked.textContent = count ? `${ticked.dataset.text} ${count}` : "";
        all.checked = count > 0 && count === ticks.length;
        all.indeterminate = count > 0 && count < ticks.length;
    };
    all.hidden = false;
    all.addEventListener("change", () => {
        ticks.forEach((tick) => {
            tick.checked = all.checked;
        });
        showTicked();
    });
    form.addEventListener("change", (event) => {
        if (event.target !== all) {
            showTicked();
        }
    });
    showTicked();

    /* Keys */

    const help = form.querySelector(".zoho-keys");
    const areOn = document.getElementById("zoho-keys-on");
    help.hidden = false;
    areOn.checked = localStorage.getItem(KEYS_OFF) === null;
    areOn.addEventListener("change", () => {
        if (areOn.checked) {
            localStorage.removeItem(KEYS_OFF);
        } else {
            localStorage.setItem(KEYS_OFF, "yes");
        }
    });

    const move = (step) => {
        const place = leads.indexOf(current());
        const next = place < 0 ? 0 : place + step;
        focusOn(leads[Math.min(Math.max(next, 0), leads.length - 1)]);
    };

    const choose = (lead, number) => {
        const details = detailsOf(lead);
        if (details.open) {
            details.querySelectorAll("button[name=one]")[number - 1]?.click();
        } else {
            details.open = true;
        }
    };

    const tick = (lead) => {
        const box = tickOf(lead);
        if (box) {
            box.checked = !box.checked;
            showTicked();
        }
    };

    const press = (key) => {
        const lead = current();
        if (key === "?") {
            help.open = !help.open;
        } else if (key === "j" || key === "k") {
            move(key === "j" ? 1 : -1);
        } else if (lead && key === "x") {
            tick(lead);
        } else if (lead && key === "o") {
            detailsOf(lead).open = !detailsOf(lead).open;
        } else if (lead && /^[1-9]$/.test(key)) {
            choose(lead, Number(key));
        } else {
            return false;
        }
        return true;
    };

    document.addEventListener("keydown", (event) => {
        const isShortcut = !event.ctrlKey && !event.metaKey && !event.altKey;
        if (isShortcut && areOn.checked && !event.target.matches(FIELDS) && press(event.key)) {
            event.preventDefault();
        }
    });

    /* A decision leads back to its lead, which has the focus; if that is no longer in the list, to the
       next one. */

    const decided = Number(location.hash.replace("#lead-", ""));
    if (decided && !document.querySelector(location.hash)) {
        focusOn(leads.find((lead) => Number(lead.dataset.lead) > decided) ?? leads.at(-1));
    }
})();
