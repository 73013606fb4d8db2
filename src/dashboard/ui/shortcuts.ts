import { go } from "./route.js";

/** All of them, as the help page lists them. */
export const SHORTCUTS: readonly { keys: string; does: string }[] = [
  { keys: "g b", does: "Board" },
  { keys: "g f", does: "Figures" },
  { keys: "n", does: "To the next thing that waits for you" },
  { keys: "j / k", does: "To the next or previous run or plan" },
  { keys: "Enter", does: "Open what has the focus" },
  { keys: "/", does: "Filter the runs" },
  { keys: "f", does: "Feedback to the run in sight" },
  { keys: "End", does: "In a log: follow its end again" },
  { keys: "Ctrl Enter", does: "Send what was written" },
  { keys: "Esc", does: "Close a window, leave a field" },
  { keys: "?", does: "This list" },
];

/** How long the second key of two may take, in ms. */
const SECOND_KEY_MS = 1_200;

/** Keys without a modifier, outside of fields and windows. What they do elsewhere on the page stays. */
export function listenForShortcuts(): void {
  let first: { key: string; at: number } | undefined;
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    const isField = target.closest("input, textarea, select") !== null;
    if (event.key === "Escape" && isField && !document.querySelector("dialog[open]")) {
      last = target;
      return target.blur();
    }
    if (event.key === "Enter" && event.ctrlKey && isField) {
      (target.closest("[data-send]") ?? target.parentElement?.parentElement)
        ?.querySelector<HTMLButtonElement>("button[data-sends]:not(:disabled)")
        ?.click();
      return;
    }
    if (isField || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]"))
      return;
    const isSecond = first?.key === "g" && performance.now() - first.at < SECOND_KEY_MS;
    first = event.key === "g" ? { key: "g", at: performance.now() } : undefined;
    if (run(isSecond ? `g ${event.key}` : event.key)) event.preventDefault();
  });
}

/** @returns false when the key means nothing here */
function run(keys: string): boolean {
  switch (keys) {
    case "g b":
      go("#/");
      return true;
    case "g f":
      go("#/figures");
      return true;
    case "?":
      go("#/help");
      return true;
    case "n":
      return focusNext("[data-need]", ANSWERS, 1);
    case "j":
      return focusNext(".virtual-row", ["a"], 1);
    case "k":
      return focusNext(".virtual-row", ["a"], -1);
    case "/":
      return focus("[data-filter]");
    case "f":
      return focus("[data-feedback]");
    default:
      return false;
  }
}

function focus(selector: string): boolean {
  const element = document.querySelector<HTMLElement>(selector);
  element?.focus();
  return element !== null;
}

/** What takes the focus of something that waits: an answer, but none that Enter should not give by mistake. */
const ANSWERS = [
  ".answer button:not([data-weighty]):not(:disabled)",
  ".answer input, .answer textarea",
  "a, button",
];
/** Where the focus was before it was given up. */
let last: Element | undefined;

/** To what takes the focus, first of all the first of some selectors, in the next or previous of some parts of the page. */
function focusNext(parts: string, within: readonly string[], step: 1 | -1): boolean {
  const find = (part: HTMLElement) =>
    within.map((one) => part.querySelector<HTMLElement>(one)).find((one) => one !== null);
  const all = [...document.querySelectorAll<HTMLElement>(parts)].filter(find);
  // Rows of a virtual list stand in the document in the order in which they came.
  all.sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top);
  const from = document.activeElement === document.body ? last : document.activeElement;
  const current = all.findIndex((part) => part.contains(from ?? null));
  const next = all[current < 0 ? (step > 0 ? 0 : all.length - 1) : current + step];
  if (!next) return false;
  last = next;
  find(next)?.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}
