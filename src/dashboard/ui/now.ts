import { signal } from "@preact/signals";

/** The time by which ages are shown, epoch ms; it moves once a second while the page can be seen. */
export const now = signal(Date.now());

let timer: number | undefined;

/** Begins to move it, and stops with the page out of sight. Nothing is asked of the server for it. */
export function keepTime(): void {
  const tick = () => {
    now.value = Date.now();
  };
  const adjust = () => {
    window.clearInterval(timer);
    if (document.hidden) return;
    tick();
    timer = window.setInterval(tick, 1_000);
  };
  document.addEventListener("visibilitychange", adjust);
  adjust();
}
