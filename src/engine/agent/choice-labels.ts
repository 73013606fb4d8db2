import { cleanLine, cutText } from "../../shared/text.js";

/** What a person can choose is kept with the question, and comes back as their answer; more of it is not shown. */
const LABEL_CHARACTERS = 120;

/** The labels as they are shown and kept, in their order: they differ, also where long ones begin alike. */
export function shownLabels(labels: readonly string[]): string[] {
  const taken = new Set<string>();
  return labels.map((whole) => {
    const short = cleanLine(whole, LABEL_CHARACTERS);
    let label = short;
    for (let number = 2; label !== "" && taken.has(label); number++) {
      const mark = ` (${number})`;
      label = `${cutText(short, LABEL_CHARACTERS - mark.length)}${mark}`;
    }
    taken.add(label);
    return label;
  });
}

/**
 * Which of the labels an answer names that may be several of them, joined by ", ", which may be in them as well.
 * @returns undefined when it says anything else
 */
export function readChosen(answer: string, labels: readonly string[]): string[] | undefined {
  const longestFirst = labels.filter(Boolean).sort((one, other) => other.length - one.length);
  const chosen: string[] = [];
  for (let rest = answer; rest !== ""; ) {
    const label = longestFirst.find((one) => rest === one || rest.startsWith(`${one}, `));
    if (label === undefined) return undefined;
    chosen.push(label);
    rest = rest.slice(label.length + ", ".length);
  }
  return chosen.length > 0 ? chosen : undefined;
}
