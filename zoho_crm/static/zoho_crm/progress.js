/* Keeps the progress of a run up to date. Without this script a link refreshes the page. */
"use strict";

(() => {
    const POLL_MS = 2000;
    const SPOKEN_STEP_PERCENT = 10;

    const follow = (region) => {
        const spoken = document.getElementById("zoho-spoken");
        const title = document.title;
        let timer = 0;
        let isOver = false;
        let lastStep = Math.floor(percentOf(region) / SPOKEN_STEP_PERCENT);

        const show = (html) => {
            const hadFocus = region.contains(document.activeElement);
            region.innerHTML = html;
            if (hadFocus) {
                region.querySelector("a")?.focus();
            }
            const percent = percentOf(region);
            const step = Math.floor(percent / SPOKEN_STEP_PERCENT);
            if (step !== lastStep) {
                lastStep = step;
                spoken.textContent = `${percent} %`;
            }
            document.title = `${percent} % – ${title}`;
        };

        const poll = async () => {
            timer = 0;
            if (document.hidden || isOver) {
                return;
            }
            try {
                const answer = await fetch(region.dataset.url, { redirect: "error" });
                if (answer.ok) {
                    show(await answer.text());
                    isOver = !region.querySelector("[data-moving]");
                }
            } catch {
                // No answer, or signed out: what is shown says when it was updated.
            }
            if (isOver) {
                document.title = title;
                spoken.textContent = region.dataset.over;
                region.append(linkToThisPage(region.dataset.over));
            } else {
                timer = setTimeout(poll, POLL_MS);
            }
        };

        document.addEventListener("visibilitychange", () => {
            if (!document.hidden && !timer) {
                poll();
            }
        });
        document.title = `${percentOf(region)} % – ${title}`;
        timer = setTimeout(poll, POLL_MS);
    };

    const percentOf = (region) =>
        Number(region.querySelector("[data-percent]")?.dataset.percent ?? 0);

    const linkToThisPage = (text) => {
        const line = document.createElement("p");
        const link = line.appendChild(document.createElement("a"));
        link.href = location.href;
        link.textContent = text;
        return line;
    };

    document.addEventListener("DOMContentLoaded", () => {
        document.querySelectorAll(".zoho-live[data-url]").forEach(follow);
    });
})();
