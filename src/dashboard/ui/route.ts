import { computed, signal } from "@preact/signals";

/** What the page shows, as it stands behind the # of its address. */
export type Route =
  | { view: "board" }
  | { view: "plan"; id: string }
  | { view: "run"; id: string }
  | { view: "figures"; query: URLSearchParams }
  | { view: "help" }
  | { view: "nowhere" };

const hash = signal(window.location.hash);
window.addEventListener("hashchange", () => {
  hash.value = window.location.hash;
});

export const route = computed(() => readRoute(hash.value));

export function readRoute(text: string): Route {
  const [path = "", query = ""] = text.replace(/^#\/?/, "").split("?");
  const [view = "", id = ""] = path.split("/").map(decode);
  if (view === "plans" && id) return { view: "plan", id };
  if (view === "runs" && id) return { view: "run", id };
  if (view === "figures") return { view, query: new URLSearchParams(query) };
  if (view === "help") return { view };
  return { view: path === "" ? "board" : "nowhere" };
}

export function go(address: string): void {
  window.location.hash = address.replace(/^#/, "");
}

export const toRun = (runId: string) => `#/runs/${encodeURIComponent(runId)}`;
export const toPlan = (planId: string) => `#/plans/${encodeURIComponent(planId)}`;

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
