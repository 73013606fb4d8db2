import { letGo, takeUp } from "./live.js";

/** A page that nobody has seen for so long lets its connection go, in ms. */
const UNSEEN_MS = 60_000;
const LOCK = "automagik-dashboard-unseen";

/**
 * Browsers open six connections to one server at most, for all its pages: those that nobody sees must not take them all.
 * One of them keeps its own, for the number in its title, where the browser can tell which.
 */
export function spareConnections(): void {
  let timer: number | undefined;
  let wake = () => {};
  document.addEventListener("visibilitychange", () => {
    window.clearTimeout(timer);
    wake();
    if (document.visibilityState === "hidden") timer = window.setTimeout(rest, UNSEEN_MS);
    else takeUp();
  });

  function rest(): void {
    if (!navigator.locks) {
      letGo();
      return;
    }
    const seen = new Promise<void>((resolve) => {
      wake = resolve;
    });
    void navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => {
      if (lock) return seen;
      if (document.visibilityState === "hidden") letGo();
    });
  }
}
