import { findNearest } from "../shared/nearest.js";
import { cleanLine } from "../shared/text.js";
import { listEntries, OLD_PREFIX, PREFIX, type Texts } from "./entries.js";

/** Of a name so many characters are told. */
const NAME_CHARS = 100;

/**
 * Says which variables have this product's prefix and are no setting of it: a limit that is misspelled limits nothing.
 * @param variables of an environment, whatever else is in it; empty ones count as not set
 * @returns a sentence without its full stop; undefined where there are none
 */
export function tellUnknownVariables(variables: Texts): string | undefined {
  const known = new Set(
    listEntries().flatMap(({ variable, oldVariable }) => [
      PREFIX + variable,
      OLD_PREFIX + (oldVariable ?? variable),
    ]),
  );
  const given = Object.keys(variables).filter((name) => variables[name]?.trim());
  const unknown = given.filter((name) => name.startsWith(PREFIX) && !known.has(name));
  if (unknown.length === 0) return undefined;
  const told = unknown.map((name) => {
    const meant = nearestTo(name.slice(PREFIX.length));
    return `${cleanLine(name, NAME_CHARS)}${meant === undefined ? "" : ` (${PREFIX}${meant} may be meant)`}`;
  });
  const [verb, has] = unknown.length === 1 ? ["is no setting", "has"] : ["are no settings", "have"];
  return `${told.join(", ")} ${verb} of this product, and ${has} no effect`;
}

function nearestTo(wanted: string): string | undefined {
  const names = listEntries().map(({ variable }) => variable);
  // "ENGINE" is in every "ENGINE_…", and no better a guess for it.
  const apart = (name: string) => Math.abs(name.length - wanted.length);
  return findNearest(wanted, names, names.length).sort((a, b) => apart(a) - apart(b))[0];
}
